/** What looks like a secret, by its name or by itself: wrong now and then, which is why all that is moved is told. */

const SECRET_NAME =
  /(?:^|[_-])(?:API_?KEY|APIKEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PASS|PWD|PAT|CREDENTIALS?|AUTH|AUTHORIZATION|BEARER|COOKIE|DSN)$|(?<=[a-z])(?:Key|Token|Secret|Password)$/i;
const NO_SECRET_NAME = /(?:^|[_-])(?:PUBLIC[_-]KEY|SSH_AUTH_SOCK)$/i;

/** Tokens that say whose they are. */
const TOKEN =
  /^(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{20,}|glpat-[\w-]{16,}|sk-[\w-]{16,}|[sr]k_(?:live|test)_\w{10,}|xox[abeprs]-[\w-]{10,}|xapp-[\w-]{10,}|AKIA[0-9A-Z]{16}|ASIA[0-9A-Z]{16}|AIza[\w-]{30,}|ya29\.[\w-]+|hf_\w{16,}|npm_\w{30,}|pypi-[\w-]{16,}|SG\.[\w-]{16,}\.[\w-]+|ntn_\w{16,}|secret_\w{20,}|tvly-[\w-]{8,}|fc-[0-9a-f]{16,}|lin_api_\w{16,}|figd_[\w-]{16,}|sntrys_\w+|dop_v1_\w+|ATATT[\w=-]{16,}|pplx-\w{16,}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+)$/;

/** What people write where a token is to come. */
const STAND_IN =
  /^(?:<[^<>]*>|x{3,}|\*{3,}|\.{3,}|…|your[-_ ].*|[a-z_-]+[-_]here|change[-_ ]?me|replace[-_ ]?me|todo|insert[-_ ].*|placeholder)$/i;

export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name) && !NO_SECRET_NAME.test(name);
}

export function isToken(value: string): boolean {
  return TOKEN.test(value) || /^-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(value);
}

export function isStandIn(value: string): boolean {
  return STAND_IN.test(value.trim());
}

/** Whether a variable, header or option of that name has a secret for its value: not a file, a number or a switch. */
export function isSecretValue(name: string, value: string): boolean {
  if (isToken(value) || hasPassword(value)) return true;
  if (!isSecretName(name) || value === "") return false;
  return !/^(?:\.{0,2}\/|~\/|true$|false$|yes$|no$|none$|\d{1,6}$)/i.test(value);
}

/** A URL such as `postgresql://user:password@host/db`. */
export function hasPassword(value: string): boolean {
  return readUrl(value)?.password !== undefined && readUrl(value)?.password !== "";
}

export function readUrl(value: string): URL | undefined {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(value) && URL.canParse(value) ? new URL(value) : undefined;
}

const PORTS: Record<string, string> = {
  "postgres:": "5432",
  "postgresql:": "5432",
  "mysql:": "3306",
  "mariadb:": "3306",
  "redis:": "6379",
  "rediss:": "6380",
  "mongodb:": "27017",
  "mssql:": "1433",
  "clickhouse:": "8123",
  "amqp:": "5672",
};

/** `name:port` of a URL, where both are known; without the port for http and https. */
export function placeOfUrl(url: URL): string | undefined {
  if (url.hostname === "") return undefined;
  const isWeb = url.protocol === "http:" || url.protocol === "https:";
  const port = url.port !== "" ? url.port : isWeb ? undefined : PORTS[url.protocol];
  if (port === undefined) return isWeb ? (url.protocol === "http:" ? `${url.hostname}:80` : url.hostname) : undefined;
  return `${url.hostname}:${port}`;
}
