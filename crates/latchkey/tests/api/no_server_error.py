"""For Schemathesis: no status from 500 to 599. Its own check takes those from 600 on for failures of the server; here
they are answers of the contract, and have to be described."""

import schemathesis


@schemathesis.check
def no_server_error(ctx, response, case):
    if 500 <= response.status_code < 600:
        raise AssertionError(f"the server failed with {response.status_code}: {response.text}")
