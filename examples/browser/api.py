"""The FastAPI example, as an API that pages of some origins may call: what CORS needs is all here.

`add_middleware` puts its middleware around everything that the app had before, refusals included.
"""

import os
import sys
from pathlib import Path

from fastapi.middleware.cors import CORSMiddleware

sys.path.insert(0, str(Path(__file__).parents[1] / "fastapi_app"))
from app import app

app.add_middleware(
    CORSMiddleware,
    allow_origins=os.environ["CORS_ORIGINS"].split(","),
    allow_methods=["GET", "POST"],
    allow_headers=["Authorization", "DPoP"],
    expose_headers=["WWW-Authenticate", "DPoP-Nonce"],  # the list replaces the one that refusals bring along
)
