/**
 * uv, pinned: what installs from PyPI in build VMs. Its wheel is fetched from the index that the host uses, which has to have it; the digests are
 * PyPI's (https://pypi.org/project/uv/0.9.9/#files).
 */
const UV_VERSION = "0.9.9";
const UV_WHEELS = {
  x86_64: {
    file: `uv-${UV_VERSION}-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl`,
    sha256: "afdd00ddc25e12ed756e069090011ca55f127753e1192e51f45fa288a024f3df",
  },
  aarch64: {
    file: `uv-${UV_VERSION}-py3-none-manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64.whl`,
    sha256: "036e8d38f87ffbebcd478e6b61a2c4f8733f77fbdf34140b78e0f5ab238810cf",
  },
};

/**
 * Runs in the build VM as `python3 -c SCRIPT FOLDER INDEX SPEC`: gets uv, has it install SPEC into FOLDER, and writes FOLDER/installed.json
 * (`pypiSchema` in install.ts). The debian image has Python and no pip.
 */
export const UV_SCRIPT = `
import hashlib, json, os, platform, re, ssl, subprocess, sys, urllib.parse, urllib.request, zipfile
folder, index, spec = sys.argv[1:]
wheels = json.loads(r'''${JSON.stringify(UV_WHEELS)}''')
wheel = wheels[platform.machine()]
os.makedirs(folder, exist_ok=True)

def get(url, accept="*/*"):
    request = urllib.request.Request(url, headers={"Accept": accept, "User-Agent": "pip/25"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return answer.geturl(), answer.headers.get_content_type(), answer.read()

page = index.rstrip("/") + "/uv/"
base, kind, body = get(page, "application/vnd.pypi.simple.v1+json, text/html;q=0.5")
if kind.endswith("json"):
    found = [each["url"] for each in json.loads(body)["files"] if each["filename"] == wheel["file"]]
else:
    found = [each for each in re.findall(r'href="([^"]+)"', body.decode()) if each.split("#")[0].split("/")[-1] == wheel["file"]]
if not found:
    sys.exit("the index " + index + " has no " + wheel["file"])
print("getting uv", flush=True)
_, _, body = get(urllib.parse.urljoin(base, found[0].split("#")[0]))
if hashlib.sha256(body).hexdigest() != wheel["sha256"]:
    sys.exit("the index's uv is not the one that is known: its digest differs")
path = "/tmp/uv.whl"
with open(path, "wb") as file:
    file.write(body)
with zipfile.ZipFile(path) as archive:
    name = next(each for each in archive.namelist() if each.endswith("/scripts/uv"))
    with archive.open(name) as source, open("/tmp/uv", "wb") as target:
        target.write(source.read())
os.chmod("/tmp/uv", 0o755)
os.unlink(path)
env = dict(os.environ, UV_TOOL_DIR=folder + "/tools", UV_TOOL_BIN_DIR=folder + "/bin", UV_CACHE_DIR="/tmp/uv-cache",
           UV_DEFAULT_INDEX=index, UV_PYTHON_DOWNLOADS="never", UV_NATIVE_TLS="1", UV_COMPILE_BYTECODE="1", UV_LINK_MODE="copy", UV_NO_PROGRESS="1")
code = subprocess.call(["/tmp/uv", "tool", "install", "--python", "python3", spec], env=env)
if code != 0:
    sys.exit(code)
tools = os.listdir(folder + "/tools")
tool = next(each for each in tools if os.path.isdir(folder + "/tools/" + each) and not each.startswith("."))
listed = subprocess.check_output(["/tmp/uv", "pip", "list", "--format", "json", "--python", folder + "/tools/" + tool + "/bin/python"], env=env)
subprocess.call(["rm", "-rf", "/tmp/uv", "/tmp/uv-cache"])

def digest(name, version):
    # RECORD lists a hash for each file of the wheel: its own hash stands for all.
    site = [p for p in __import__("glob").glob(folder + "/tools/" + tool + "/lib/python*/site-packages/*.dist-info")
            if os.path.basename(p).lower() == (name.replace("-", "_") + "-" + version + ".dist-info").lower()]
    if not site or not os.path.exists(site[0] + "/RECORD"):
        return None
    lines = sorted(line for line in open(site[0] + "/RECORD").read().splitlines() if ".pyc," not in line and "/bin/" not in line)
    return "record-sha256-" + hashlib.sha256("\\n".join(lines).encode()).hexdigest()

packages = []
for each in json.loads(listed):
    entry = {"name": each["name"], "version": each["version"]}
    value = digest(each["name"], each["version"])
    if value:
        entry["digest"] = value
    packages.append(entry)
with open(folder + "/installed.json", "w") as file:
    json.dump({"name": tool, "programs": sorted(os.listdir(folder + "/bin")), "packages": packages}, file)
`;
