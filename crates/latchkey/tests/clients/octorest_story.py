"""octorest: asks for a key, is denied once, then lives with one until it is revoked."""

import io
import random

import octorest
import requests
from octorest import OctoRest, WorkflowAppKeyRequestResult, XHRStreamingGenerator

from story import MODEL, PATIENCE, Story, until, until_heard

APP = "octorest story"
FILE = "octorest-story.gcode"


def connect(story):
    session = requests.Session()
    session.auth = story.http
    return OctoRest(url=story.url, session=session), session


def ask(client, story, app, decision):
    with story.person.deciding(app, decision):
        return client.try_get_api_key(app, story.person.name, timeout=PATIENCE)


def measured(client):
    """A real printer is there before its first temperatures are, and neither is there at once."""
    try:
        measured = client.printer(history=True, limit=2)["temperature"]
    except RuntimeError:
        return []
    return sorted(name for name in measured if name != "history")


def use(client, story):
    version = client.version
    if client.state() in ("Closed", "Offline"):
        client.connect(port="VIRTUAL")
    temperatures = until("temperatures", lambda: measured(client))
    uploaded = client.upload((FILE, io.BytesIO(MODEL)))
    names = [file["name"] for file in client.files()["files"]]
    info = client.files_info("local", FILE)
    client.delete(f"local/{FILE}")
    settings = client.settings()
    story.note(
        server=version["server"],
        temperatures=temperatures,
        uploaded=uploaded["done"] and FILE in names and info["size"] == len(MODEL),
        deleted=FILE not in [file["name"] for file in client.files()["files"]],
        job_state=client.job_info()["state"],
        profiles=sorted(client.printer_profiles()["profiles"]),
        settings=sorted({"api", "feature", "webcam", "plugins"} & settings.keys()),
    )


def listen(client, story, session):
    """Both of its push clients. The WebSocket takes no credentials of an app connection: it has no place for them."""
    generator = XHRStreamingGenerator(story.url, session)
    messages = generator.read_loop()
    story.note(websocket_offered=generator.info()["websocket"], streamed="connected" in next(messages))
    messages.close()
    if story.http:
        return

    heard = set()
    socket = octorest.WebSocketEventHandler(story.url, on_message=lambda _socket, message: heard.update(message))
    socket.run()
    until_heard("connected", heard)
    login = client._post("/api/login", json={"passive": True})
    # What it sends is one SockJS frame: a list of texts.
    socket.send(['{"auth": "%s:%s"}' % (login["name"], login["session"])])
    until_heard("history", heard)
    until_heard("current", heard)
    socket.socket.keep_running = False
    story.note(pushed=True, who=login["name"])


def main():
    # It picks numbers for its socket that servers take for a path of their own only up to 999.
    random.seed(20)
    story = Story()
    story.person.sign_in()
    client, session = connect(story)
    denied = ask(client, story, f"{APP}, denied", False)
    assert denied == (WorkflowAppKeyRequestResult.NOPE, None), denied
    outcome, key = ask(client, story, APP, True)
    assert outcome == WorkflowAppKeyRequestResult.GRANTED, outcome
    client.load_api_key(key)
    assert APP in story.person.apps_with_keys()
    use(client, story)
    listen(client, story, session)

    story.person.revoke(APP)
    try:
        client.get_version()
    except RuntimeError as refusal:
        story.note(refused_once_revoked="(403)" in str(refusal))
    story.note(denied=True, granted=True)
    story.end()


main()
