# One-port over TLS by a client that has nothing in common with wharf: OpenSSL, as Python has it.
#
# over_tls.py HOST PORT OWN OTHER ROOT SESSIONS TRANSFERS from-own|from-other USER PASSWORD
#
# SESSIONS control connections from the address OWN do TRANSFERS transfers each; their data connections come from the same
# address or from OTHER. Meanwhile strangers and thieves of both addresses connect. Every byte is compared, and nothing may
# be refused. The last line on stdout is the account.

import hashlib
import os
import random
import socket
import ssl
import sys
import threading
import time

HOST, PORT, OWN, OTHER, ROOT = sys.argv[1], int(sys.argv[2]), *sys.argv[3:6]
SESSIONS, TRANSFERS, DATA = int(sys.argv[6]), int(sys.argv[7]), OWN if sys.argv[8] == "from-own" else OTHER
USER, PASSWORD = sys.argv[9:11]
PATIENCE = 30
OVER = threading.Event()
FAULTS = []
COUNTS = {"strangers": 0, "thieves": 0, "replays": 0, "slowest": 0.0}
LOCK = threading.Lock()


def count(what, number=1):
    with LOCK:
        COUNTS[what] += number


def content(number):
    block = hashlib.sha256(str(number).encode()).digest()
    return block * (1 + number * 7919 % 4000)


def dial(address):
    connection = socket.create_connection((HOST, PORT), PATIENCE, source_address=(address, 0))
    connection.settimeout(PATIENCE)
    return connection


def context():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    return made


class Control:
    def __init__(self, version, address=OWN):
        self.context = context()
        self.context.minimum_version = self.context.maximum_version = version
        self.connection = dial(address)
        self.heard = b""
        self.expect(220)
        self.say("AUTH TLS", 234)
        self.connection = self.context.wrap_socket(self.connection)
        for line, code in (("USER " + USER, 331), ("PASS " + PASSWORD, 230), ("PBSZ 0", 200), ("PROT P", 200), ("TYPE I", 200)):
            self.say(line, code)

    def reply(self):
        while True:
            while b"\n" in self.heard:
                line, self.heard = self.heard.split(b"\n", 1)
                if line[:3].isdigit() and line[3:4] == b" ":
                    return int(line[:3]), line.decode().strip()
            got = self.connection.recv(4096)
            if not got:
                raise AssertionError("the control connection ended")
            self.heard += got

    def expect(self, code):
        got, text = self.reply()
        assert got == code, f"{code} wanted: {text}"
        return text

    def say(self, line, code):
        self.connection.sendall(line.encode() + b"\r\n")
        return self.expect(code)

    def hello(self):
        """A ClientHello of this session, as somebody would see it on its way"""
        sent = ssl.MemoryBIO()
        half = self.context.wrap_bio(ssl.MemoryBIO(), sent, session=self.connection.session)
        try:
            half.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return sent.read()

    def transfer(self, command, upload, early, replayed):
        began = time.monotonic()
        told = self.say("EPSV", 229)
        assert told.split("|||")[1].split("|")[0] == str(PORT), told
        thief = None
        if replayed:
            # Somebody who saw the session's last ClientHello is there first, and can do no more.
            thief = dial(OTHER)
            thief.sendall(self.hello())
            count("replays")
        if early or DATA != OWN:
            # Command and connection at once, and the ClientHello right behind it. From another address nobody knows what
            # a silent connection is: the server greets it after 400 ms.
            self.connection.sendall(command.encode() + b"\r\n")
            data = dial(DATA)
            protected = self.context.wrap_socket(data, session=self.connection.session)
            self.expect(150)
        else:
            data = dial(DATA)
            self.say(command, 150)
            protected = self.context.wrap_socket(data, session=self.connection.session)
        assert protected.session_reused, "not resumed"
        got = b""
        if upload is None:
            while part := protected.recv(65536):
                got += part
        else:
            protected.sendall(upload)
        try:
            protected.unwrap()
        except (ssl.SSLError, OSError):
            pass
        protected.close()
        self.expect(226)
        if thief:
            thief.close()
        with LOCK:
            COUNTS["slowest"] = max(COUNTS["slowest"], time.monotonic() - began)
        return got


def session(number):
    chance = random.Random(number)
    control = Control(ssl.TLSVersion.TLSv1_3 if number % 3 else ssl.TLSVersion.TLSv1_2)
    for turn in range(TRANSFERS):
        unique = number * TRANSFERS + turn
        early, replayed = chance.random() < 0.5, chance.random() < 0.05
        if chance.random() < 0.5:
            name = chance.randrange(20)
            got = control.transfer(f"RETR {name}.bin", None, early, replayed)
            assert got == content(name), f"mixed up: {name}.bin, {len(got)} bytes"
        else:
            control.transfer(f"STOR put-{unique}", content(unique), early, replayed)
            with open(os.path.join(ROOT, f"put-{unique}"), "rb") as stored:
                assert stored.read() == content(unique), f"mixed up: put-{unique}"
    control.say("QUIT", 221)


def only_replies(connection):
    heard = b""
    try:
        while not heard.endswith(b"\r\n") and (got := connection.recv(4096)):
            heard += got
    except OSError:
        pass
    assert not heard or heard[:3].isdigit(), f"stolen: {heard[:60]!r}"


def strangers(number):
    chance = random.Random(1000 + number)
    address = (OWN, OTHER)[number % 2]
    thief = Control(ssl.TLSVersion.TLSv1_2, address)
    while not OVER.is_set():
        time.sleep(chance.random() * 0.06)
        connection = dial(address)
        kind = chance.randrange(5)
        count("thieves" if kind > 2 else "strangers")
        if kind == 0:
            connection.close()
            continue
        if kind == 1:
            connection.sendall(b"USER x\r\n")
        if kind < 3:
            only_replies(connection)
        else:
            # With the ticket of a session of its own that waits for nothing, or without any
            try:
                ticket = thief.connection.session if kind == 3 else None
                protected = (thief.context if kind == 3 else context()).wrap_socket(connection, session=ticket)
                got = protected.recv(4096)
                assert not got, f"stolen: {len(got)} bytes"
            except (ssl.SSLError, OSError):
                pass
        connection.close()


def guarded(work, number):
    try:
        work(number)
    except Exception as fault:  # noqa: BLE001 - told, and the run fails
        with LOCK:
            FAULTS.append(f"{work.__name__} {number}: {fault!r}")


def main():
    for number in range(20):
        with open(os.path.join(ROOT, f"{number}.bin"), "wb") as file:
            file.write(content(number))
    others = [threading.Thread(target=guarded, args=(strangers, number)) for number in range(4)]
    own = [threading.Thread(target=guarded, args=(session, number)) for number in range(SESSIONS)]
    for thread in others + own:
        thread.start()
    for thread in own:
        thread.join()
    OVER.set()
    for thread in others:
        thread.join()
    for fault in FAULTS[:10]:
        print(fault, file=sys.stderr)
    if FAULTS:
        sys.exit(f"{len(FAULTS)} faults")
    told = ", ".join(f"{number:.1f} s {what}" if what == "slowest" else f"{number} {what}" for what, number in COUNTS.items())
    print(f"{SESSIONS * TRANSFERS} transfers, none refused; {told}")


main()
