"""A Flask app that has let somebody in before its server forks, as an app does that checks at start-up that all is well.

Served by gunicorn with `--preload`. Its settings, and the token for the first request, are in the environment.
"""

import os
import time

from flask import Flask

from strongdm_auth import StrongDMAuth
from strongdm_auth.flask import current_token

app = Flask(__name__)
auth = StrongDMAuth(app)


@app.get("/who")
@auth.require_auth()
def who() -> dict[str, object]:
    """Who came, and which process says so. It takes its time, so that the next request meets another worker."""
    time.sleep(0.02)
    return {"subject": current_token.subject, "process": os.getpid()}


_first = app.test_client().get("/who", headers={"Authorization": f"Bearer {os.environ['FIRST_TOKEN']}"})
if _first.status_code != 200:
    raise RuntimeError(f"nobody gets in: {_first.get_json()}")
