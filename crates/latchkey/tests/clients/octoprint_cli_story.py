"""octoprint-cli: has no way to ask for a key; its user makes one in the settings and puts it into a file."""

import configparser
import pathlib
import subprocess
import sys
import tempfile

from story import MODEL, PATIENCE, Story, until

APP = "octoprint-cli story"
FILE = "octoprint-cli-story.gcode"


class Command:
    def __init__(self, folder, url, key):
        self._folder = folder
        self._config = folder / "octoprint-cli.ini"
        config = configparser.ConfigParser(interpolation=None)
        config["server"] = {"ServerAddress": url, "ApiKey": key}
        # The check calls the outside.
        config["preferences"] = {"FormattedText": "false", "UpdateCheck": "false"}
        with self._config.open("w") as file:
            config.write(file)

    def run(self, *arguments):
        program = pathlib.Path(sys.executable).with_name("octoprint-cli")
        return subprocess.run(
            [program, "--config", self._config, *arguments],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE * 2,
        )

    def ok(self, *arguments):
        ended = self.run(*arguments)
        assert ended.returncode == 0, (arguments, ended.stdout, ended.stderr)
        return ended.stdout


def select(command):
    """A printer may be printing by itself, as the demo's does."""
    command.run("print", "cancel")
    return FILE in command.run("print", "select", FILE).stdout


def use(command, folder, story):
    story.note(version=command.ok("version").strip())
    if "Disconnected" in command.ok("connection", "status"):
        command.ok("connection", "connect", "--port", "VIRTUAL")
    until("the printer", lambda: command.run("temp", "status").returncode == 0)
    model = folder / FILE
    model.write_bytes(MODEL)
    command.ok("files", "upload", str(model))
    command.ok("gcode", "M115")
    command.ok("temp", "bed", "35")
    command.ok("temp", "bed", "0")
    story.note(
        temperatures="Extruder Temp" in command.ok("temp", "status"),
        uploaded=FILE in command.ok("files", "list"),
        described=FILE in command.ok("files", "info", FILE),
        status=command.ok("print", "status").splitlines()[0],
        selected=until("a selected file", lambda: select(command)),
        layers=command.run("layers").returncode,
    )


def main():
    story = Story()
    story.person.sign_in()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        command = Command(folder, story.url_with_credentials, story.person.generate(APP))
        use(command, folder, story)
        story.person.revoke(APP)
        refused = command.run("version")
        story.note(
            granted=True,
            refused_once_revoked=refused.returncode == 1 and "cannot be reached" in refused.stdout,
        )
    story.end()


main()
