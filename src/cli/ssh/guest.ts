import type { DaemonClient } from "../../client/daemon-client.ts";
import type { ExecRequest, Progress } from "../../contract/vm.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";

const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH";
const NO_SSHD = 70;
/** In memory of the guest: whoever may come in is said anew at each connection. */
const GUEST_FOLDER = "/run/firebreak-ssh";
const HOST_KEY = "/etc/ssh/ssh_host_ed25519_key";

/** Of two that run at once both end with the one key that was there first. */
const PREPARE = `set -eu
${PATH}
command -v sshd >/dev/null && command -v ssh-keygen >/dev/null || exit ${NO_SSHD}
umask 022
mkdir -p /run/sshd ${GUEST_FOLDER} /etc/ssh
if [ ! -s ${HOST_KEY} ]; then
  fresh=${HOST_KEY}.$$
  rm -f "$fresh" "$fresh.pub"
  ssh-keygen -q -N '' -t ed25519 -f "$fresh"
  ln "$fresh" ${HOST_KEY} 2>/dev/null || [ -s ${HOST_KEY} ]
  rm -f "$fresh" "$fresh.pub"
fi
printf '%s\\n' "$1" > ${GUEST_FOLDER}/keys.$$
mv ${GUEST_FOLDER}/keys.$$ ${GUEST_FOLDER}/authorized_keys
ssh-keygen -y -f ${HOST_KEY}`;

const MAX_ANSWER_BYTES = 16 * 1024;
const HOST_KEY_LINE = /^(ssh-ed25519 [A-Za-z0-9+/]{60,80}={0,2})(?: [^\n]*)?\n?$/;

/** What sshd sets by itself, or what is the process's rather than the VM's. */
const OWN_VARIABLES = "HOME|USER|LOGNAME|SHELL|TERM|PWD|OLDPWD|SHLVL|_|FIREBREAK_PATH";
/**
 * One `SetEnv` of sshd_config(5) with the environment that awk itself has: only the first one counts. A line end cannot be said there, and
 * quotes and backslashes only to sshd from OpenSSH 8.7 on: with `plain` what has any is left out.
 */
const SET_ENV = String.raw`BEGIN {
  for (name in ENVIRON) {
    value = name == "PATH" ? ENVIRON["FIREBREAK_PATH"] : ENVIRON[name]
    if (name !~ /^[A-Za-z_][A-Za-z0-9_]*$/ || name ~ /^(${OWN_VARIABLES})$/ || value ~ /\n/) continue
    if (plain && value ~ /["\\]/) continue
    gsub(/["\\]/, "\\\\&", value)
    line = line " \"" name "=" value "\""
  }
  if (line != "") print "SetEnv" line
}`;

/**
 * Sessions get the environment of the VM's commands, which sshd itself has but keeps from them. It goes by a file that root alone reads: other
 * users of the guest see a process's arguments. Without awk sessions have none of it.
 */
const START = `vm_path=$PATH
${PATH}
sshd=$(command -v sshd)
write_config() {
  (umask 077; FIREBREAK_PATH=$vm_path awk -v plain="$1" '${SET_ENV}' > ${GUEST_FOLDER}/config.$$ &&
    mv ${GUEST_FOLDER}/config.$$ ${GUEST_FOLDER}/config)
}
config=/dev/null
if command -v awk >/dev/null && write_config 0; then
  config=${GUEST_FOLDER}/config
  if grep -q '\\\\' $config && ! "$sshd" -t -h ${HOST_KEY} -f $config 2>/dev/null; then write_config 1 || config=/dev/null; fi
fi
exec "$sshd" -f $config "$@"`;

/** One connection on its standard streams; nothing of the guest's own configuration decides who comes in. */
export const SSHD: ExecRequest = {
  argv: [
    ...["/bin/sh", "-c", START, "sshd", "-i", "-e"],
    ...[
      `HostKey=${HOST_KEY}`,
      `AuthorizedKeysFile=${GUEST_FOLDER}/authorized_keys`,
      "PidFile=none",
      "LogLevel=ERROR",
      "UsePAM=no",
      "PermitRootLogin=prohibit-password",
      "PasswordAuthentication=no",
      "KbdInteractiveAuthentication=no",
      "X11Forwarding=no",
      "PrintMotd=no",
      "AcceptEnv=LANG LC_* COLORTERM",
      "Subsystem=sftp internal-sftp",
      // A session whose client is gone without a word ends by itself.
      "ClientAliveInterval=60",
      "ClientAliveCountMax=3",
    ].flatMap((option) => ["-o", option]),
  ],
  stdin: true,
  user: "root",
  cwd: "/",
};

/** Puts the public key and, where there is none, makes a host key. Returns the host key. Throws SSH_SERVER_MISSING. */
export async function prepareGuest(
  client: DaemonClient,
  vm: string,
  publicKey: string,
  onProgress: (progress: Progress) => void,
): Promise<string> {
  const argv = ["/bin/sh", "-c", PREPARE, "firebreak-ssh", publicKey];
  const stream = await client.execs.start(vm, { argv, user: "root", cwd: "/", timeoutMs: 60_000 }, { onProgress });
  const words: Record<"stdout" | "stderr", string> = { stdout: "", stderr: "" };
  for await (const output of stream.output()) {
    if (output.type === "skipped") continue;
    words[output.type] += output.bytes.toString("latin1");
    if (words[output.type].length <= MAX_ANSWER_BYTES) continue;
    stream.close();
    break;
  }
  if (stream.exit?.exitCode === NO_SSHD)
    throw new FirebreakError("SSH_SERVER_MISSING", `the VM '${vm}' has no sshd`, {
      hint: "VMs of the debian image have one ('firebreak image build debian' brings it up to date); in other images install openssh-server.",
    });
  const hostKey = HOST_KEY_LINE.exec(words.stdout)?.[1];
  if (stream.exit?.exitCode !== 0 || hostKey === undefined)
    throw new FirebreakError(
      "SSH_SERVER_FAILED",
      `the VM '${vm}' could not be prepared for SSH: ${lastLine(words.stderr)}`,
    );
  return hostKey;
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) || "it answered with something else than its host key";
}
