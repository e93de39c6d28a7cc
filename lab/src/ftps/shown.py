"""One download with Python's ftplib, with a certificate or without."""
import ftplib
import ssl
import sys

host, ca, version, shown, target = sys.argv[1:]


class Client(ftplib.FTP_TLS):
    def ntransfercmd(self, cmd, rest=None):
        conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        return self.context.wrap_socket(conn, server_hostname=self.host, session=self.sock.session), size


context = ssl.create_default_context(cafile=ca)
context.minimum_version = context.maximum_version = {
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}[version]
if shown:
    context.load_cert_chain(shown)
ftp = Client(context=context)
ftp.connect(host, 21, 20)
ftp.login("ann", "")
ftp.prot_p()
with open(target, "wb") as file:
    ftp.retrbinary("RETR payload.bin", file.write)
ftp.quit()
