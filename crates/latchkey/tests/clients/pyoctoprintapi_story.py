"""pyoctoprintapi, through which Home Assistant calls: asks for a key, is denied once, then lives with one until it is revoked."""

import asyncio
import contextlib

import aiohttp
from pyoctoprintapi import ApiError, OctoprintClient, PrinterOffline
from pyoctoprintapi.exceptions import UnauthorizedException

from story import PATIENCE, Story

APP = "pyoctoprintapi story"


async def ask(client, story, app, decision):
    decided = asyncio.create_task(asyncio.to_thread(story.person.decide, app, decision))
    try:
        return await client.request_app_key(app, story.person.name, PATIENCE)
    finally:
        await decided


async def operational(client):
    """A real printer is there before its first temperatures are."""
    for _ in range(PATIENCE * 10):
        with contextlib.suppress(PrinterOffline):
            printer = await client.get_printer_info()
            if printer.temperatures:
                return printer
        await asyncio.sleep(0.1)
    raise AssertionError("the printer stays offline")


async def use(client, story):
    server = await client.get_server_info()
    await client.disconnect()
    try:
        await client.get_printer_info()
        offline = False
    except PrinterOffline:
        offline = True
    await client.connect(port="VIRTUAL")
    printer = await operational(client)
    job = await client.get_job_info()
    webcam = await client.get_webcam_info()
    discovery = await client.get_discovery_info()
    await client.set_tool_temperature("tool0", 40)
    await client.turn_tool_off("tool0")
    # These it sends to `//api/printer/bed`.
    await client.set_bed_temperature(35)
    await client.turn_bed_off()
    # A printer may be printing by itself, as the demo's does.
    with contextlib.suppress(ApiError):
        await client.cancel_job()
    try:
        await client.pause_job()
        paused = True
    except ApiError:
        paused = False
    story.note(
        server=server.version,
        safe_mode=server.safe_mode,
        offline_is_told=offline,
        operational=printer.state.flags.operational,
        temperatures=sorted(one.name for one in printer.temperatures),
        job_state=job.state,
        job_is_readable=job.progress.completion is None or job.progress.completion >= 0,
        webcam=webcam.stream_url if webcam else None,
        unique_id=discovery.upnp_uuid if discovery else None,
        paused_what_does_not_print=paused,
    )


async def main():
    story = Story()
    story.person.sign_in()
    auth = aiohttp.BasicAuth(*story.http) if story.http else None
    cookies = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(auth=auth, cookie_jar=cookies) as session:
        client = OctoprintClient(story.host, session, story.port)
        try:
            await ask(client, story, f"{APP}, denied", False)
        except ApiError:
            story.note(denied=True)
        key = await ask(client, story, APP, True)
        client.set_api_key(key)
        assert APP in story.person.apps_with_keys()
        await use(client, story)

        story.person.revoke(APP)
        try:
            await client.get_server_info()
        except UnauthorizedException:
            story.note(refused_once_revoked=True)
        story.note(granted=True)
    story.end()


asyncio.run(main())
