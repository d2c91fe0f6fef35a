/** What the caller should do about an error; HTTP status and CLI exit code follow from it (docs/errors.md). */
export const ERROR_CLASSES = {
  invalid_argument: { http: 400, exit: 2 },
  not_found: { http: 404, exit: 3 },
  already_exists: { http: 409, exit: 4 },
  aborted: { http: 409, exit: 4 },
  failed_precondition: { http: 412, exit: 4 },
  unauthenticated: { http: 401, exit: 5 },
  permission_denied: { http: 403, exit: 5 },
  resource_exhausted: { http: 429, exit: 6 },
  unimplemented: { http: 501, exit: 6 },
  unavailable: { http: 503, exit: 7 },
  deadline_exceeded: { http: 504, exit: 124 },
  canceled: { http: 499, exit: 130 },
  internal: { http: 500, exit: 1 },
} as const;

export type ErrorClass = keyof typeof ERROR_CLASSES;

/** Every code firebreak reports. Codes are stable: never renamed, never reused. */
export const ERROR_CODES = {
  INVALID_ARGUMENT: { class: "invalid_argument", about: "A value is malformed or out of range." },
  UNKNOWN_COMMAND: { class: "invalid_argument", about: "The command line names a command that there is not." },
  UNKNOWN_FLAG: { class: "invalid_argument", about: "The command line has a flag that the command does not know." },
  INVALID_NAME: { class: "invalid_argument", about: "A name is not made of a-z, 0-9 and '-' (at most 63 characters)." },
  INVALID_PATH: { class: "invalid_argument", about: "A guest path is relative, empty or contains a NUL." },
  SOCKET_PATH_TOO_LONG: { class: "invalid_argument", about: "A UNIX socket path would exceed 107 bytes." },

  VM_NOT_FOUND: { class: "not_found", about: "No VM has that name or id." },
  VM_ALREADY_EXISTS: { class: "already_exists", about: "Another VM has that name." },
  VM_STATE_CONFLICT: { class: "failed_precondition", about: "The VM's state does not allow the action." },
  VM_BOOT_FAILED: {
    class: "unavailable",
    about: "The guest did not become ready: it panicked, hung or lacks something.",
  },
  VM_CRASHED: { class: "unavailable", about: "The VMM ended while a request was under way." },
  VM_MEMORY_EXHAUSTED: { class: "resource_exhausted", about: "The host has not enough free memory for the VM." },

  DRIVE_NOT_FOUND: { class: "not_found", about: "No drive has that name or id." },
  DRIVE_ALREADY_EXISTS: { class: "already_exists", about: "Another drive has that name." },
  DRIVE_IN_USE: {
    class: "failed_precondition",
    about: "The drive is attached, and the action needs it free, or for nobody else to write to it.",
  },
  DRIVE_BUSY: {
    class: "failed_precondition",
    about: "Something in the guest uses the drive, or the place where it is to be mounted.",
  },
  DRIVE_MOUNT_FAILED: {
    class: "failed_precondition",
    about: "The guest cannot mount the drive: it has no file system, a damaged one, or the path does not do.",
  },
  MOUNT_FAILED: {
    class: "failed_precondition",
    about:
      "A host path cannot be mounted in the VM: it is not there, is not to be served, or the guest refuses the place.",
  },
  MOUNT_PATH_REFUSED: {
    class: "invalid_argument",
    about: "A host path that no VM is to see live: the root, a home, the system's directories, firebreak's own state.",
  },
  MOUNT_BUSY: {
    class: "failed_precondition",
    about: "Something in the guest uses the mount, or the place where it is to be.",
  },
  DRIVE_LIMIT: { class: "resource_exhausted", about: "The VM has as many drives attached as it may." },
  DRIVE_UNSUPPORTED: {
    class: "failed_precondition",
    about: "The VM's kernel, its guest agent or its VMM is too old to have drives attached.",
  },

  IMAGE_NOT_FOUND: { class: "not_found", about: "No image has that name or digest." },
  IMAGE_CORRUPT: {
    class: "failed_precondition",
    about: "An image's content does not match its digest or is truncated.",
  },
  IMAGE_INVALID: {
    class: "invalid_argument",
    about: "An image's manifest, configuration or layout is malformed or of a kind that is not supported.",
  },
  IMAGE_TOO_LARGE: {
    class: "resource_exhausted",
    about: "An image has more members or bytes than firebreak takes.",
  },
  IMAGE_PLATFORM_MISSING: { class: "failed_precondition", about: "An image is not there for the platform asked for." },
  IMAGE_PULL_FAILED: { class: "unavailable", about: "A registry could not be reached or did not send the image." },
  IMAGE_PUSH_FAILED: { class: "unavailable", about: "A registry could not be reached or did not take the image." },
  REGISTRY_UNAUTHORIZED: {
    class: "unauthenticated",
    about: "A registry wants credentials, or refuses those that it was given.",
  },
  BUILD_FILE_INVALID: {
    class: "invalid_argument",
    about: "A build file is malformed or has an instruction that is not supported; the message names the line.",
  },
  IMAGE_BUILD_FAILED: { class: "unavailable", about: "A step of an image build failed." },
  IMAGE_IN_USE: { class: "failed_precondition", about: "A VM, snapshot or template uses the image." },
  KERNEL_FETCH_FAILED: { class: "unavailable", about: "The guest kernel package could not be fetched or verified." },
  KERNEL_BUILD_FAILED: { class: "unavailable", about: "A step of a kernel build failed." },
  KERNEL_NOT_FOUND: { class: "not_found", about: "No kernel has that id." },
  KERNEL_IN_USE: { class: "failed_precondition", about: "New VMs get the kernel, or a VM boots with it." },
  KERNEL_CORRUPT: { class: "failed_precondition", about: "The kernel or initrd does not match its digest." },
  AGENT_NOT_BUILT: { class: "failed_precondition", about: "The guest agent binary has not been built." },

  SNAPSHOT_NOT_FOUND: { class: "not_found", about: "No snapshot has that name or id." },
  SNAPSHOT_ALREADY_EXISTS: { class: "already_exists", about: "Another snapshot has that name." },
  SNAPSHOT_CORRUPT: {
    class: "failed_precondition",
    about: "A snapshot's or template's files are missing, truncated or altered.",
  },
  SNAPSHOT_INCOMPATIBLE: {
    class: "failed_precondition",
    about: "A snapshot was taken with another VMM version, accelerator or CPU than this host has.",
  },
  SNAPSHOT_FAILED: { class: "unavailable", about: "The VMM could not save the VM; the VM goes on." },
  TASK_NOT_FOUND: { class: "not_found", about: "No task has that id." },
  TASK_STATE_CONFLICT: { class: "failed_precondition", about: "The task's state does not allow the action." },
  TASK_FILE_NOT_FOUND: { class: "not_found", about: "The task's output directory held no such file." },
  RESULT_STORAGE_FAILED: {
    class: "unavailable",
    about: "The storage of tasks' files that firebreak.toml names refuses, or does not answer.",
  },
  TASK_BUDGET_EXHAUSTED: {
    class: "resource_exhausted",
    about: "Tasks of the user have cost what they may, by budget_per_user in [tasks] of firebreak.toml.",
  },
  TASK_LOST: {
    class: "unavailable",
    about: "The machine below a task failed: its VM ended, or could not be reached any more.",
  },
  AGENT_NOT_FOUND: { class: "not_found", about: "No agent has that name." },
  AGENT_INSTALL_FAILED: { class: "unavailable", about: "The program of a coding agent could not be installed." },
  AGENT_SECRET_MISSING: {
    class: "failed_precondition",
    about: "The vault has no key for the model that the task's agent speaks to.",
  },
  TEMPLATE_NOT_FOUND: { class: "not_found", about: "No template has that id." },

  VMM_NOT_FOUND: {
    class: "failed_precondition",
    about: "The VMM program (qemu-system-*, firecracker) is not installed.",
  },
  VMM_START_FAILED: { class: "unavailable", about: "The VMM ended at start; its last output is in the message." },
  VMM_PROTOCOL_ERROR: { class: "internal", about: "The VMM's control socket answered something unexpected." },
  VMM_RELEASE_INVALID: {
    class: "invalid_argument",
    about:
      "What was to be installed as a VMM is no release for this host: its digest, architecture or version is wrong.",
  },
  VMM_RELEASE_FETCH_FAILED: { class: "unavailable", about: "A release of a VMM could not be downloaded or verified." },
  VMM_ALTERED: {
    class: "failed_precondition",
    about: "The VMM or its jailer is not the file that was verified when it was installed.",
  },
  ACCEL_UNAVAILABLE: { class: "failed_precondition", about: "The accelerator asked for does not work on this host." },
  TOOL_NOT_FOUND: { class: "failed_precondition", about: "A host program that is needed is not installed." },
  TOOL_FAILED: { class: "internal", about: "A host program failed." },

  GUEST_UNREACHABLE: { class: "unavailable", about: "The guest agent does not answer on the channel." },
  GUEST_PROTOCOL_ERROR: { class: "unavailable", about: "The guest agent sent bytes that are not of the protocol." },
  GUEST_AGENT_FAILED: { class: "internal", about: "The guest agent could not do what was asked." },
  CHANNEL_LOST: { class: "unavailable", about: "The channel to the guest broke during the request." },

  GUEST_FEATURE_MISSING: {
    class: "failed_precondition",
    about: "The VM's guest agent is older than what was asked of it: the VM comes from an old snapshot.",
  },
  CONNECTION_REFUSED: {
    class: "unavailable",
    about: "Nothing listens on that port, in the guest or where the guest wants to go.",
  },
  CONNECTION_FAILED: { class: "unavailable", about: "The address could not be reached in time, or at all." },
  CONNECTION_LIMIT: { class: "resource_exhausted", about: "As many connections are open as there may be." },

  POLICY_INVALID: {
    class: "invalid_argument",
    about: "A network policy has rules that cannot be meant; `details.problems` lists them.",
  },
  EGRESS_DENIED: { class: "permission_denied", about: "The VM's policy does not let it there." },
  NAME_NOT_RESOLVED: { class: "unavailable", about: "The host's resolver knows no address of the name." },

  NETWORK_NOT_SET_UP: { class: "failed_precondition", about: "The host is not set up for VMs with a network card." },
  NETWORK_UNSUPPORTED: {
    class: "failed_precondition",
    about: "The VM's VMM cannot have a network card of the kind that this host is set up for.",
  },
  NETWORK_SETUP_FAILED: { class: "unavailable", about: "The host's network could not be changed as VMs need it." },
  NETWORK_IN_USE: {
    class: "failed_precondition",
    about: "Somebody else has the bridge, its addresses, or cards at it.",
  },
  NETWORK_FULL: { class: "resource_exhausted", about: "The network of VMs has no address left." },
  SECRET_NOT_FOUND: { class: "not_found", about: "No secret has that name." },
  SECRET_INVALID: {
    class: "invalid_argument",
    about: "A value cannot be used as asked, nobody has said for which hosts, or an AWS key lacks what goes with it.",
  },
  SECRET_IN_USE: { class: "failed_precondition", about: "VMs may use the secret." },
  SECRET_EXPOSED: {
    class: "failed_precondition",
    about: "The VM has the value of a secret in its environment: its memory is not saved.",
  },
  SECRET_DAMAGED: { class: "failed_precondition", about: "What is kept of a secret has been altered." },
  VAULT_KEY_MISSING: { class: "failed_precondition", about: "The file with the vault's key is gone." },
  VAULT_KEY_EXPOSED: { class: "failed_precondition", about: "Others than its owner may read the vault's key." },
  VAULT_KEY_WRONG: { class: "failed_precondition", about: "The vault's key does not open what the vault holds." },

  FORWARD_NOT_FOUND: { class: "not_found", about: "There is no port forward with that id." },
  FORWARD_LIMIT: { class: "resource_exhausted", about: "The VM has as many port forwards as it may have." },
  PORT_IN_USE: { class: "already_exists", about: "Another program or forward listens on that port of the host." },
  HOST_ADDRESS_UNAVAILABLE: {
    class: "failed_precondition",
    about: "The host has no such address, or this user may not listen on the port.",
  },

  SSH_SERVER_MISSING: { class: "failed_precondition", about: "The VM's image has no SSH server." },
  SSH_SERVER_FAILED: { class: "unavailable", about: "The VM could not be prepared for an SSH connection." },

  EXEC_NOT_FOUND: { class: "not_found", about: "No such exec in the VM." },
  EXEC_ALREADY_EXISTS: { class: "already_exists", about: "An exec with that id exists." },
  EXEC_STATE_CONFLICT: {
    class: "failed_precondition",
    about: "The exec has ended, or still runs, and the action needs the opposite.",
  },
  EXEC_LIMIT: { class: "resource_exhausted", about: "The VM runs as many execs as it may." },
  COMMAND_NOT_FOUND: { class: "not_found", about: "The command does not exist in the guest.", exit: 127 },
  COMMAND_NOT_EXECUTABLE: {
    class: "failed_precondition",
    about: "The command exists in the guest but cannot be run.",
    exit: 126,
  },
  USER_NOT_FOUND: { class: "not_found", about: "The guest has no such user." },
  COMMAND_TIMED_OUT: { class: "deadline_exceeded", about: "The command ran into its timeout and was ended." },

  FILE_NOT_FOUND: { class: "not_found", about: "No such file or directory in the guest." },
  FILE_ALREADY_EXISTS: { class: "already_exists", about: "The path exists in the guest already." },
  FILE_NOT_A_DIRECTORY: {
    class: "failed_precondition",
    about: "A directory is needed and the path is something else.",
  },
  FILE_IS_A_DIRECTORY: { class: "failed_precondition", about: "A file is needed and the path is a directory." },
  FILE_PERMISSION_DENIED: { class: "permission_denied", about: "The guest's file system refused the access." },
  FILE_TOO_LARGE: {
    class: "resource_exhausted",
    about: "The file is larger than the call may carry; read it by range or copy it.",
  },
  DIRECTORY_NOT_EMPTY: { class: "failed_precondition", about: "The directory is not empty; delete it recursively." },
  GUEST_DISK_FULL: { class: "resource_exhausted", about: "The guest's disk is full." },
  HOST_DISK_FULL: { class: "resource_exhausted", about: "The host's disk is full." },
  HOST_PATH_NOT_FOUND: { class: "not_found", about: "No such file or directory on the host." },
  HOST_PATH_CHANGED: {
    class: "failed_precondition",
    about: "Something of another kind, such as a symlink, is in a path's place on the host.",
  },
  ARCHIVE_INVALID: {
    class: "invalid_argument",
    about: "The tar stream is malformed or holds an entry that leaves the target.",
  },
  ARCHIVE_TOO_LARGE: {
    class: "resource_exhausted",
    about: "An archive holds more entries or bytes than the call allows.",
  },

  CONFIRMATION_REQUIRED: {
    class: "failed_precondition",
    about: "The call needs a confirm token: that of a preview of the same call.",
  },
  CONFIRMATION_UNKNOWN: { class: "invalid_argument", about: "The confirm token was never given out, or is long past." },
  CONFIRMATION_MISMATCH: { class: "invalid_argument", about: "The confirm token is for another call." },
  CONFIRMATION_USED: {
    class: "failed_precondition",
    about: "The confirm token has been used; it is good for one call.",
  },
  CONFIRMATION_EXPIRED: { class: "failed_precondition", about: "The confirm token is older than ten minutes." },
  CONFIRMATION_STALE: {
    class: "failed_precondition",
    about: "What the confirmed plan was made from has changed since.",
  },
  IDEMPOTENCY_MISMATCH: { class: "invalid_argument", about: "The idempotency key stands for another call." },
  IDEMPOTENCY_OUTCOME_UNKNOWN: {
    class: "failed_precondition",
    about: "The call with that idempotency key was cut off, so that its outcome is not known.",
  },
  CONFIG_INVALID: {
    class: "failed_precondition",
    about:
      "A configuration file (firebreak.toml, or one with MCP servers) is malformed, has an unknown key, or asks for what cannot be.",
    exit: 2,
  },
  CLIENT_CONFIG_INVALID: {
    class: "failed_precondition",
    about:
      "An MCP client's file is not JSON or TOML, or has something else where servers belong; the message names line and column.",
  },
  CLIENT_CONFIG_CHANGED: {
    class: "aborted",
    about: "An MCP client's file was changed by somebody else while it was being changed.",
  },
  CLIENT_ENTRY_CONFLICT: {
    class: "already_exists",
    about: "An MCP client's file has a server of that name that is not firebreak's.",
  },
  PRICES_NOT_SET: { class: "failed_precondition", about: "The configuration has no prices to estimate with." },
  CALL_NOT_FOUND: { class: "not_found", about: "No call with an idempotency key has that id, or it has ended." },

  SERVER_DEFINITION_INVALID: {
    class: "failed_precondition",
    about: "A tool, prompt or resource of an MCP server has no name of use, or is deeper or larger than is looked at.",
  },
  SERVER_LOCK_INVALID: {
    class: "failed_precondition",
    about: "firebreak.lock is malformed; the message names the line.",
  },
  AUDIT_UNAVAILABLE: {
    class: "unavailable",
    about: 'The audit log cannot be written or read; with `[audit] when_failing = "refuse"` no call is made then.',
  },

  ARTIFACT_NOT_FOUND: { class: "not_found", about: "No artifact has that name or id." },
  ARTIFACT_ALREADY_EXISTS: { class: "already_exists", about: "Another artifact has that name." },
  ARTIFACT_CORRUPT: { class: "failed_precondition", about: "An artifact's content is missing or not what was kept." },
  WORKSPACE_NOT_FOUND: { class: "not_found", about: "The VM has no workspace." },
  WORKSPACE_DIRECTORY_REFUSED: {
    class: "invalid_argument",
    about: "The directory is /, a home, firebreak's own, or above or below one of these that must not be synced.",
  },
  WORKSPACE_STATE_CONFLICT: {
    class: "failed_precondition",
    about: "The workspace is read-only, belongs to another directory, or is being synced.",
  },
  WORKSPACE_NOT_SYNCED: {
    class: "failed_precondition",
    about: "What a VM changed in its workspace has not come back, and would be lost.",
  },
  WORKSPACE_STAGING_LOST: {
    class: "unavailable",
    about: "What was read from a VM for a sync has been damaged before it reached its directory.",
  },
  BACKUP_NOT_FOUND: { class: "not_found", about: "No workspace backup has that id." },

  PERMISSION_DENIED: { class: "permission_denied", about: "A folder or file on the host belongs to another user." },
  API_KEY_MISSING: { class: "unauthenticated", about: "A request over TCP came without an API key." },
  API_KEY_INVALID: { class: "unauthenticated", about: "The API key is not one of the daemon's, or has been revoked." },
  API_KEY_EXPIRED: { class: "unauthenticated", about: "The API key's time is over." },
  SESSION_ENDED: { class: "unauthenticated", about: "A browser's session has ended, or is none of the daemon's." },
  LOGIN_CODE_INVALID: {
    class: "unauthenticated",
    about: "A code of `firebreak dashboard` has been used, has expired or was never given out.",
  },
  SESSION_REQUEST_REFUSED: {
    class: "permission_denied",
    about:
      "A request with a session's cookie lacks what the dashboard's own requests have: another page may have made it.",
  },
  HOST_NOT_ALLOWED: {
    class: "permission_denied",
    about: "The request's Host header is a name that the daemon is not known by: it may be another site's.",
  },
  ORIGIN_NOT_ALLOWED: { class: "permission_denied", about: "A web page of another origin made the request." },
  LOCAL_CALLERS_ONLY: {
    class: "permission_denied",
    about: "What was asked for is for callers on the daemon's UNIX socket.",
  },
  KEY_NOT_FOUND: { class: "not_found", about: "No API key has that name or id." },
  KEY_ALREADY_EXISTS: { class: "already_exists", about: "Another API key has that name." },
  LISTEN_NEEDS_KEY: {
    class: "failed_precondition",
    about: "The daemon does not listen beyond this host before there is an API key.",
  },
  LISTEN_FAILED: { class: "unavailable", about: "The address cannot be listened on: taken, or none of this host's." },
  DAEMON_UNAVAILABLE: { class: "unavailable", about: "The daemon does not answer on its socket." },
  DAEMON_NOT_LISTENING: {
    class: "failed_precondition",
    about: "The daemon serves its socket only, and an address that others reach it by is needed.",
  },
  DAEMON_DRAINING: { class: "unavailable", about: "The daemon is about to end and takes no new work." },
  DAEMON_ALREADY_RUNNING: { class: "already_exists", about: "A daemon already serves this state directory." },
  DAEMON_START_FAILED: { class: "unavailable", about: "The daemon ended while starting; its log tells why." },
  STATE_TOO_NEW: { class: "failed_precondition", about: "The state was written by a newer firebreak." },
  ROUTE_NOT_FOUND: { class: "not_found", about: "The API has no such path." },
  REQUEST_TOO_LARGE: { class: "invalid_argument", about: "A request body exceeds the limit." },
  SETUP_INCOMPLETE: { class: "unavailable", about: "Something that 'make setup' installs is missing." },

  SERVER_NOT_FOUND: { class: "not_found", about: "No MCP server has that name." },
  SERVER_FAILED: { class: "unavailable", about: "An MCP server did not start, or ended; the message names it." },
  SERVER_PROTOCOL_ERROR: { class: "unavailable", about: "An MCP server breaks the protocol; the message names it." },
  SERVER_BUSY: {
    class: "resource_exhausted",
    about: "An MCP server has as many calls as it may; the message says which limit.",
  },
  SERVER_INSTALL_FAILED: {
    class: "unavailable",
    about: "An MCP server's package could not be installed in its build VM.",
  },
  SERVER_LOCK_UNMET: {
    class: "failed_precondition",
    about:
      "What firebreak.lock has of an MCP server's package or image cannot be had any more, or is something else now.",
  },
  SERVER_LOGIN_REQUIRED: {
    class: "failed_precondition",
    about: "An MCP server that runs elsewhere wants somebody to log in: `firebreak server login NAME`.",
  },
  SERVER_LOGIN_FAILED: {
    class: "unavailable",
    about: "A login at an MCP server did not come about, or its authorization server is not to be trusted.",
  },
  SERVER_SCOPE_MISSING: {
    class: "permission_denied",
    about: "An MCP server wants more for a call than the login allows; the message names the scopes.",
  },
  SERVER_DISABLED: { class: "failed_precondition", about: "The MCP server is switched off in its configuration." },
  OPERATION_CANCELED: { class: "canceled", about: "The caller gave up." },
  DEADLINE_EXCEEDED: { class: "deadline_exceeded", about: "The operation took longer than it may." },
  INTERNAL: { class: "internal", about: "A defect in firebreak." },
} as const satisfies Record<string, { class: ErrorClass; about: string; exit?: number }>;

export type ErrorCode = keyof typeof ERROR_CODES;
