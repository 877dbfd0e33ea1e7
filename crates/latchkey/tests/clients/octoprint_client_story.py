"""OctoPrint's own clients: `octoprint plugins appkeys:request-key`, `octoprint client`, and the API client with its push socket.

Run by OctoPrint's Python.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import octoprint_client

from story import MODEL, PATIENCE, Story, until_heard

APP = "octoprint client story"
FILE = "octoprint-client-story.gcode"


class Command:
    """`octoprint`, with a folder and a home of its own."""

    def __init__(self, story, folder):
        self._story = story
        self._folder = folder
        self._env = dict(os.environ, HOME=str(folder))
        if story.http:
            # The address that is polled comes from the server, without credentials: they are looked up here.
            netrc = folder / "netrc"
            name, password = story.http
            netrc.write_text(f"machine {story.host} login {name} password {password}\n")
            netrc.chmod(0o600)
            self._env["NETRC"] = str(netrc)

    def run(self, *arguments):
        program = pathlib.Path(sys.executable).with_name("octoprint")
        return subprocess.run(
            [program, "--basedir", self._folder / "octoprint", *arguments],
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE * 4,
        )

    def request_key(self, app, decision):
        with self._story.person.deciding(app, decision):
            arguments = ["--url", self._story.url_with_credentials, "--user", self._story.person.name, app]
            return self.run("plugins", "appkeys:request-key", *arguments)

    def client(self, key, *arguments):
        address = ["--apikey", key, "--host", self._story.host, "--port", str(self._story.port)]
        if self._story.http:
            address += ["--httpuser", self._story.http[0], "--httppass", self._story.http[1]]
        return self.run("client", *address, *arguments).stdout


def use_command(command, key, folder, story):
    model = folder / FILE
    model.write_bytes(MODEL)
    uploaded = command.client(key, "upload", "/api/files/local", str(model))
    # Members go into the query as well as into the body.
    offset = command.client(key, "command", "/api/connection", "connect", "--str", "port", "VIRTUAL")
    deleted = command.client(key, "delete", f"/api/files/local/{FILE}")
    version = command.client(key, "get", "/api/version")
    login = command.client(key, "post_json", "/api/login", '{"passive": true}')
    story.note(
        version="Status Code: 200" in version and '"server"' in version,
        connected="Status Code: 204" in offset,
        uploaded="Status Code: 201" in uploaded,
        deleted="Status Code: 204" in deleted,
        passive_login=f'"name": "{story.person.name}"' in login.replace('":"', '": "'),
    )


def listen(key, story):
    """The socket answers `connected` with a passive login, sent as a form, and what that says."""
    if story.http:
        # Its socket has no place for an app connection's credentials.
        return
    client = octoprint_client.Client(story.url, key)
    heard = set()
    socket = client.create_socket(on_message=lambda _socket, name, _payload: heard.add(name))
    for name in ["connected", "history", "current"]:
        until_heard(name, heard)
    socket.throttle(2)
    socket.disconnect()
    story.note(pushed=True)


def main():
    story = Story()
    story.person.sign_in()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        command = Command(story, folder)
        denied = command.request_key(f"{APP}, denied", False)
        assert "Request denied!" in denied.stderr, (denied.stdout, denied.stderr)
        granted = command.request_key(APP, True)
        lines = [line for line in granted.stdout.splitlines() if line.startswith("Got key: ")]
        assert lines, (granted.stdout, granted.stderr)
        key = lines[0].removeprefix("Got key: ")
        dialog = [line for line in granted.stdout.splitlines() if line.startswith("Authenticate at ")]
        assert APP in story.person.apps_with_keys()
        use_command(command, key, folder, story)
        listen(key, story)

        story.person.revoke(APP)
        refused = command.client(key, "get", "/api/version")
        story.note(
            denied=True,
            granted=True,
            dialog=f"/plugin/appkeys/auth/" in dialog[0] and f"user={story.person.name}" in dialog[0],
            refused_once_revoked="Status Code: 403" in refused,
        )
    story.end()


main()
