"""The Flask door: a view that gives a dict, bare and under `@auth.require_auth()`."""

from flask import Flask

from bench import ours
from bench.record import Figure, Row
from bench.world import World, bearer
from strongdm_auth import StrongDMAuth

from . import BY_KEY, added, compared, wsgi_calls

#: Of the bare view; the door may cost no more than this, either.
SHARE = 1.10


def row(world: World, *, rounds: int) -> Row:
    """Two apps with the same view, so that what the door hooks into an app counts as well."""

    def answer() -> dict[str, bool]:
        return {"ok": True}

    bare = Flask("bare")
    bare.get("/data")(answer)
    guarded = Flask("guarded")
    guarded.get("/data")(StrongDMAuth(guarded, **ours.settings(world)).require_auth()(answer))
    headers = bearer(world.token())
    samples = compared(
        [wsgi_calls.contender(name, app, "/data", headers) for name, app in (("bare", bare), ("door", guarded))], rounds
    )
    share, least = samples["door"].over(samples["bare"])
    figures = [
        added("added", samples["door"], samples["bare"], BY_KEY["flask"].limit),
        Figure("of the bare view", share, "rel", least, SHARE),
    ]
    series = {"bare_us": samples["bare"].median * 1e6}
    return Row("flask", BY_KEY["flask"].operation, figures, reference=BY_KEY["flask"].reference, series=series)
