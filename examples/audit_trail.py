"""An audit trail in a file, a line of JSON for each decision: `STRONGDM_ON_EVENT=audit_trail:write`.

Any callable can be an observer; this one is for the demo. In production, configure the logger `strongdm_auth.audit`, whose
records are the same lines, or write to whatever keeps your trails.
"""

import os

from strongdm_auth import Decision, Exchange


def write(event: Decision | Exchange) -> None:
    """Append one line, in one piece: many workers may write to one file."""
    if isinstance(event, Decision):
        trail = os.open(os.environ["AUDIT_TRAIL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(trail, event.as_json().encode() + b"\n")
        finally:
            os.close(trail)
