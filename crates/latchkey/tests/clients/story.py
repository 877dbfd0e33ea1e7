"""What the stories of all clients share: what a story is told on standard input, the person who decides, and the outcome.

Standard input is one JSON object: `url` (where the client calls), `http` (name and password that an app connection wants,
or null), `person_url`, `person` {`name`, `password`} (who decides, and where). Standard output is one JSON object as well.
"""

import contextlib
import json
import sys
import threading
import time
from urllib.parse import quote, urlsplit

import requests

PATIENCE = 20
"""Seconds until any single step has to have happened. The machine may be busy with other tests."""

LOOK_AGAIN = 0.1


class Story:
    def __init__(self):
        told = json.load(sys.stdin)
        self.url = told["url"].rstrip("/")
        self.http = tuple(told["http"]) if told["http"] else None
        self.person = Person(told["person_url"].rstrip("/"), **told["person"])
        self.outcome = {}

    @property
    def url_with_credentials(self):
        """As people write it into a client's configuration: `http://name:password@host`."""
        if not self.http:
            return self.url
        scheme, rest = self.url.split("://")
        name, password = (quote(part, safe="") for part in self.http)
        return f"{scheme}://{name}:{password}@{rest}"

    @property
    def host(self):
        return urlsplit(self.url).hostname

    @property
    def port(self):
        return urlsplit(self.url).port or 80

    def note(self, **facts):
        self.outcome.update(facts)

    def end(self):
        json.dump(self.outcome, sys.stdout, sort_keys=True)
        print()


class Person:
    """Somebody with a browser: signs in with a password, sees what is asked of them, decides."""

    def __init__(self, url, name, password):
        self.url = url
        self.name = name
        self._password = password
        self._browser = requests.Session()

    def sign_in(self):
        self._browser.get(f"{self.url}/login/", timeout=PATIENCE).raise_for_status()
        body = {"user": self.name, "pass": self._password, "remember": False}
        user = self._post("/api/login", body).json()
        assert user["name"] == self.name, user

    def decide(self, app, decision):
        """Waits until `app` asks and answers it."""
        token = until(f"a request of {app}", lambda: self._request_of(app))
        answer = self._post(f"/plugin/appkeys/decision/{token}", {"decision": decision})
        assert answer.status_code == 204, answer.status_code

    @contextlib.contextmanager
    def deciding(self, app, decision):
        """Decides beside what the body of the `with` does, and waits until that is done."""
        failures = []

        def decide():
            try:
                self.decide(app, decision)
            except BaseException as failure:  # noqa: B902 - told on the thread that waits
                failures.append(failure)

        thread = threading.Thread(target=decide, daemon=True)
        thread.start()
        try:
            yield
        finally:
            thread.join(PATIENCE * 2)
        if failures:
            raise failures[0]
        assert not thread.is_alive(), "the decision took too long"

    def apps_with_keys(self):
        return [key["app_id"] for key in self._get("/api/plugin/appkeys").json()["keys"]]

    def generate(self, app):
        return self._post("/api/plugin/appkeys", {"command": "generate", "app": app}).json()["api_key"]

    def revoke(self, app):
        answer = self._post("/api/plugin/appkeys", {"command": "revoke", "app": app})
        assert answer.status_code == 204, answer.status_code

    def _request_of(self, app):
        pending = self._get("/api/plugin/appkeys").json()["pending"]
        tokens = [token for token, request in pending.items() if request["app_id"] == app]
        return tokens[0] if tokens else None

    def _get(self, path):
        answer = self._browser.get(self.url + path, timeout=PATIENCE)
        answer.raise_for_status()
        return answer

    def _post(self, path, body):
        # The cookie's name carries the port and prefix of the public address.
        csrf = [cookie.value for cookie in self._browser.cookies if cookie.name.startswith("csrf_token")]
        answer = self._browser.post(self.url + path, json=body, headers={"X-CSRF-Token": csrf[0]}, timeout=PATIENCE)
        assert answer.ok, f"{path}: {answer.status_code} {answer.text}"
        return answer


def until(what, look):
    """What `look` returns once that is true."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        seen = look()
        if seen:
            return seen
        time.sleep(LOOK_AGAIN)
    raise AssertionError(f"waited {PATIENCE} s for {what}")


def until_heard(name, heard):
    """Waits until `heard`, the names of what came over a push socket so far, has `name`."""
    until(f"{name} on the push socket", lambda: name in heard)


MODEL = b"; a cube of one line\nM105\nG1 X10 Y10 F3000\nG1 X20 Y20 F3000\n"
"""What the clients upload. Nothing in it takes time or heats."""
