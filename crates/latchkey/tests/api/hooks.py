"""For Schemathesis. No status from 500 to 599: its own check takes those from 600 on for failures of the server; here
they are answers of the contract, and have to be described. And no webhook in the internet: what it makes up may be
somebody's, and may be slow."""

import schemathesis


@schemathesis.check
def no_server_error(ctx, response, case):
    if 500 <= response.status_code < 600:
        raise AssertionError(f"the server failed with {response.status_code}: {response.text}")


@schemathesis.hook
def before_call(context, case, kwargs):
    body = case.body
    if isinstance(body, dict) and str(body.get("WebhookUrl")).strip().lower().startswith("https:"):
        # Taken, and called by nobody, for it leads home.
        case.body = {**body, "WebhookUrl": "https://localhost/x"}
