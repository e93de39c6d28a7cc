"""One attack around TLS, named by the first argument; prints one line: what was seen."""
import os, socket, ssl, sys, time

what, host, port, user, password, source, authority = sys.argv[1:8]
port = int(port)


def context(alpn=None, version=None, check=False):
    it = ssl.create_default_context(cafile=authority)
    it.check_hostname = False
    it.verify_mode = ssl.CERT_REQUIRED if check else ssl.CERT_NONE
    if alpn:
        it.set_alpn_protocols(alpn)
    if version:
        it.maximum_version = version
    return it


class Control:
    def __init__(self):
        self.sock = socket.create_connection((host, port), 10, (source, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(5)
        self.buffer = b""
        self.reply()

    def line(self):
        while b"\n" not in self.buffer:
            more = self.sock.recv(4096)
            if not more:
                raise EOFError("closed")
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode("latin-1").strip()

    def reply(self):
        first = self.line()
        if first[3:4] == "-":
            while not self.line().startswith(first[:3] + " "):
                pass
        return first

    def say(self, text):
        self.sock.sendall(text.encode() + b"\r\n")
        return self.reply()

    def secure(self, ctx=None, name=None):
        said = self.say("AUTH TLS")
        if not said.startswith("234"):
            raise RuntimeError("no TLS: " + said)
        self.ctx = ctx or context(version=ssl.TLSVersion.TLSv1_2)
        self.sock = self.ctx.wrap_socket(self.sock, server_hostname=name)

    def login(self):
        self.say("USER " + user)
        said = self.say("PASS " + password)
        if not said.startswith("230"):
            raise RuntimeError("no login: " + said)
        for line in ("PBSZ 0", "PROT P", "TYPE I"):
            self.say(line)

    def passive(self):
        said = self.say("EPSV")
        return int(said.split("|")[3])

    def data(self, session):
        raw = socket.create_connection((host, self.passive()), 10, (source, 0))
        raw.settimeout(5)
        return raw


def injection(split):
    it = Control()
    if split:
        it.sock.sendall(b"AUTH TLS\r\n")
        it.sock.sendall(b"HE")
        it.sock.sendall(b"LP\r\n")
    else:
        it.sock.sendall(b"AUTH TLS\r\nHELP\r\n")
    try:
        first = it.reply()
    except (EOFError, OSError) as error:
        return "safe", "closed at once"
    if not first.startswith("234"):
        return "unknown", first
    before = it.buffer
    if not before:
        time.sleep(0.3)
        it.sock.settimeout(0.2)
        try:
            before = it.sock.recv(4096, socket.MSG_PEEK)
        except OSError:
            before = b""
        it.sock.settimeout(5)
    if before:
        return "safe", "answered in clear, before TLS"
    try:
        it.sock = context(version=ssl.TLSVersion.TLSv1_2).wrap_socket(it.sock)
    except (OSError, ssl.SSLError) as error:
        return "safe", "no handshake: %s" % type(error).__name__
    it.sock.settimeout(2)
    try:
        return "unsafe", "executed after TLS: " + it.reply()[:40]
    except socket.timeout:
        return "safe", "thrown away"
    except (EOFError, OSError, ssl.SSLError):
        return "safe", "closed after the handshake"


def alpn():
    seen = []
    bad = False
    for names in (["h2"], ["http/1.1"], ["h2", "http/1.1"]):
        try:
            it = Control()
            it.secure(context(alpn=names))
            it.say("NOOP")
            bad = True
            seen.append("%s taken" % names[0])
        except (OSError, EOFError, ssl.SSLError):
            seen.append("%s refused" % names[0])
    for names in (["ftp"], None):
        it = Control()
        it.secure(context(alpn=names) if names else context())
        it.say("NOOP")
    return "unsafe" if bad else "safe", ", ".join(seen)


def wrong_name():
    it = Control()
    ctx = context(check=True)
    ctx.check_hostname = True
    try:
        it.secure(ctx, "www.somebody-else.example")
    except ssl.SSLCertVerificationError:
        return "safe", "shows its own certificate, which a browser refuses"
    except (OSError, EOFError, ssl.SSLError) as error:
        return "safe", "handshake refused: %s" % type(error).__name__
    return "unsafe", "a certificate of that name"


def not_resumed():
    it = Control()
    it.secure()
    it.login()
    raw = it.data(None)
    it.sock.sendall(b"RETR small.bin\r\n")
    got = 0
    try:
        secured = context(version=ssl.TLSVersion.TLSv1_2).wrap_socket(raw)
        while True:
            more = secured.recv(65536)
            if not more:
                break
            got += len(more)
    except (OSError, ssl.SSLError):
        pass
    codes = []
    try:
        while len(codes) < 2:
            codes.append(it.reply()[:3])
            if codes[-1] >= "2":
                break
    except (EOFError, OSError, ssl.SSLError):
        codes.append("closed")
    return ("unsafe" if got else "safe"), "%d octets, %s" % (got, " ".join(codes))


def truncated():
    it = Control()
    it.secure()
    it.login()
    # The control connection's session is resumed: what is asked is the end, not the beginning.
    raw = it.data(None)
    it.sock.sendall(b"STOR truncated.bin\r\n")
    try:
        secured = it.ctx.wrap_socket(raw, session=it.sock.session)
        secured.sendall(b"x" * 50000)
    except (OSError, ssl.SSLError) as error:
        return "unknown", "no data connection: %s" % error
    # FIN without close_notify, as somebody on the way can send it.
    time.sleep(0.3)
    fd = secured.detach()
    socket.socket(fileno=fd).close()
    codes = []
    try:
        while len(codes) < 2:
            codes.append(it.reply()[:3])
            if codes[-1] >= "2":
                break
    except (EOFError, OSError, ssl.SSLError):
        codes.append("closed")
    return ("unsafe" if "226" in codes or "250" in codes else "safe"), " ".join(codes)


def in_clear():
    it = Control()
    said = it.say("USER " + user)
    if said[:3] in ("331", "230"):
        second = it.say("PASS " + password)
        if second.startswith("230"):
            return "unsafe", "login in clear: " + second[:30]
        said = second
    it = Control()
    it.secure()
    it.login()
    prot = it.say("PROT C")
    if prot.startswith("200"):
        said = it.say("EPSV")
        if not said.startswith("229"):
            return "safe", "PROT C, then EPSV " + said[:3]
        port = int(said.split("|")[3])
        raw = socket.create_connection((host, port), 10, (source, 0))
        raw.settimeout(5)
        it.sock.sendall(b"RETR small.bin\r\n")
        try:
            got = raw.recv(65536)
        except OSError:
            got = b""
        if got:
            return "unsafe", "PROT C, and %d octets in clear" % len(got)
    return "safe", "USER %s, PROT C %s" % (said[:3], prot[:3])


try:
    verdict, word = {
        "injection": lambda: injection(False),
        "injection-split": lambda: injection(True),
        "alpn": alpn,
        "wrong-name": wrong_name,
        "not-resumed": not_resumed,
        "truncated": truncated,
        "in-clear": in_clear,
    }[what]()
except Exception as error:
    verdict, word = "unknown", "%s: %s" % (type(error).__name__, error)
print("%s\t%s" % (verdict, word))
