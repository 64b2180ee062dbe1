"""What no schema can say about requests."""

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    """A cursor is good only if it was answered before: in a request that is to be good, one that is made up is left out."""
    if case.meta is not None and case.meta.generation.mode.is_positive and case.query:
        case.query.pop("cursor", None)
