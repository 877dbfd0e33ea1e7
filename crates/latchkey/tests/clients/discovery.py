"""Somebody in the local network who looks for printers, and who can lie: an mDNS client that is not ours (zeroconf).

Standard input has one command on each line, a JSON object with one member, its name; standard output has one JSON object on
each line, whose `event` says what it is about. Ends with its standard input.
"""

import json
import socket
import sys
import threading
import urllib.request

from zeroconf import DNSIncoming, DNSOutgoing, DNSQuestion, IPVersion, ServiceBrowser, ServiceInfo, ServiceListener, Zeroconf

PATIENCE = 20
MDNS_PORT = 5353
QUERY, ANY, INTERNET = 0, 255, 1

telling = threading.Lock()


def tell(event, **facts):
    with telling:
        print(json.dumps({"event": event, **facts}), flush=True)


def described(kind, name, info):
    return {
        "kind": kind,
        "name": name.removesuffix(f".{kind}"),
        "port": info.port,
        "hostname": info.server,
        "addresses": sorted(info.parsed_addresses()),
        "texts": info.decoded_properties,
    }


class Browser(ServiceListener):
    def add_service(self, zeroconf, kind, name):
        self.look("found", zeroconf, kind, name)

    def update_service(self, zeroconf, kind, name):
        self.look("changed", zeroconf, kind, name)

    def remove_service(self, zeroconf, kind, name):
        tell("gone", kind=kind, name=name.removesuffix(f".{kind}"))

    @staticmethod
    def look(event, zeroconf, kind, name):
        info = zeroconf.get_service_info(kind, name, timeout=PATIENCE * 1000)
        if info:
            tell(event, **described(kind, name, info))


class Somebody:
    def __init__(self):
        self.zeroconf = Zeroconf(ip_version=IPVersion.All if socket.has_dualstack_ipv6() else IPVersion.V4Only)

    def browse(self, kinds):
        ServiceBrowser(self.zeroconf, kinds, Browser())
        tell("browsing")

    def announce(self, kind, name, port, hostname, address, texts):
        """Whether somebody else has the name or not."""
        info = ServiceInfo(
            kind, f"{name}.{kind}", port=port, server=hostname, parsed_addresses=[address], properties=texts
        )
        self.zeroconf.register_service(info, cooperating_responders=True)
        tell("announced")

    def ask(self, address, kind, name):
        """What one machine answers, and nobody else: the question goes to it alone."""
        question = DNSOutgoing(QUERY, multicast=False)
        question.add_question(DNSQuestion(f"{name}.{kind}", ANY, INTERNET))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(PATIENCE)
            asking.connect((address, MDNS_PORT))
            try:
                asking.send(question.packets()[0])
                answer = DNSIncoming(asking.recv(9000))
            except ConnectionRefusedError:
                tell("refused")
                return
        info = ServiceInfo(kind, f"{name}.{kind}")
        for record in answer.answers():
            if hasattr(record, "port"):
                info.port, info.server = record.port, record.server
            elif hasattr(record, "text"):
                info = ServiceInfo(kind, f"{name}.{kind}", port=info.port, server=info.server, properties=record.text)
        tell("answer", **described(kind, name, info))

    def fetch(self, address, port, hostname, path):
        """A page, asked for by the name that was announced."""
        host = f"{hostname.rstrip('.')}:{port}"
        request = urllib.request.Request(f"http://{address}:{port}{path}", headers={"Host": host})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            tell("page", status=answer.status)


somebody = Somebody()
for line in sys.stdin:
    [(command, arguments)] = json.loads(line).items()
    getattr(somebody, command)(**arguments)
somebody.zeroconf.close()
