// Many transfers on one control connection with npm's basic-ftp over TLS.
const fs = require("fs");
const { Client } = require("basic-ftp");

const [, host, port, ca, version, , start, script, user, password] = process.argv.slice(1);

async function main() {
  const client = new Client(20000);
  try {
    await client.access({
      host,
      port: Number(port),
      user,
      password,
      secure: start === "implicit" ? "implicit" : true,
      secureOptions: {
        ca: fs.readFileSync(ca),
        minVersion: "TLSv" + version,
        maxVersion: "TLSv" + version,
      },
    });
    for (const line of fs.readFileSync(script, "utf8").split("\n").filter(Boolean)) {
      const [what, source, target] = line.split("\t");
      if (what === "put") await client.uploadFrom(source, target);
      else if (what === "get") await client.downloadTo(target, source);
      else {
        const names = (await client.list()).map((entry) => entry.name);
        fs.writeFileSync(target, names.join("\n") + "\n");
      }
    }
  } finally {
    client.close();
  }
}

main().catch((error) => {
  console.error(String(error));
  process.exit(1);
});
