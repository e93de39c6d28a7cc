"""Many transfers on one control connection with Python's ftplib over TLS."""
import ftplib
import socket
import ssl
import sys

kind, host, port, ca, version, mode, start, script, user, password = sys.argv[1:]


class Client(ftplib.FTP_TLS):
    def connect(self, host, port, timeout=20):
        if start == "explicit":
            return super().connect(host, port, timeout)
        self.host, self.port, self.timeout = host, port, timeout
        raw = socket.create_connection((host, port), timeout)
        self.af = raw.family
        self.sock = self.context.wrap_socket(raw, server_hostname=host)
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()
        return self.welcome

    def ntransfercmd(self, cmd, rest=None):
        if kind == "stock":
            return super().ntransfercmd(cmd, rest)
        conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        conn = self.context.wrap_socket(conn, server_hostname=self.host, session=self.sock.session)
        return conn, size


context = ssl.create_default_context(cafile=ca)
context.minimum_version = context.maximum_version = {
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}[version]
ftp = Client(context=context)
ftp.connect(host, int(port))
ftp.login(user, password)
ftp.prot_p()
ftp.set_pasv(mode == "passive")

for line in open(script):
    what, source, target = line.rstrip("\n").split("\t")
    try:
        if what == "put":
            with open(source, "rb") as file:
                ftp.storbinary("STOR " + target, file)
        elif what == "get":
            with open(target, "wb") as file:
                ftp.retrbinary("RETR " + source, file.write)
        else:
            with open(target, "w") as file:
                ftp.retrlines("LIST", lambda line: file.write(line + "\n"))
    except OSError:
        # A data connection that the server has closed; it says why on the control connection.
        sys.exit(ftp.getmultiline())
    except ftplib.Error as refused:
        sys.exit(str(refused))
ftp.quit()
