import { referTo } from "./references.ts";

/** What is known of MCP servers that many have: where they go, which of their arguments are paths of this host. */
export interface KnownServer {
  /** Names on npm or PyPI, or of an image without its tag. */
  packages: readonly string[];
  hosts?: readonly string[];
  /** Arguments that are paths: those that are no option, or behind one of these. */
  paths?: "arguments" | readonly string[];
  /** A file among its paths: its folder is what the server needs, to write beside it. */
  needsFolder?: boolean;
  /** It is of no use without a network whose names nobody can know ahead. */
  note?: string;
}

const KNOWN: readonly KnownServer[] = [
  {
    packages: ["@modelcontextprotocol/server-filesystem"],
    paths: "arguments",
    note: "its paths are read-only; a path that it is to write to ends with :rw",
  },
  {
    packages: ["mcp-server-git"],
    paths: ["--repository", "-r"],
    note: "its repository is read-only; a path that it is to write to ends with :rw",
  },
  { packages: ["mcp-server-sqlite", "mcp-sqlite"], paths: ["--db-path", "--db"], needsFolder: true },
  {
    packages: [
      "@modelcontextprotocol/server-github",
      "@github/github-mcp-server",
      "github-mcp-server",
      "ghcr.io/github/github-mcp-server",
      "mcp/github",
    ],
    hosts: ["api.github.com"],
  },
  { packages: ["@modelcontextprotocol/server-gitlab", "@zereight/mcp-gitlab"], hosts: ["gitlab.com"] },
  { packages: ["@modelcontextprotocol/server-slack", "slack-mcp-server"], hosts: ["slack.com"] },
  {
    packages: ["@modelcontextprotocol/server-brave-search", "@brave/brave-search-mcp-server"],
    hosts: ["api.search.brave.com"],
  },
  { packages: ["@modelcontextprotocol/server-google-maps"], hosts: ["maps.googleapis.com"] },
  { packages: ["@notionhq/notion-mcp-server"], hosts: ["api.notion.com"] },
  { packages: ["@stripe/mcp"], hosts: ["api.stripe.com"] },
  { packages: ["tavily-mcp", "mcp-tavily"], hosts: ["api.tavily.com"] },
  { packages: ["exa-mcp-server"], hosts: ["api.exa.ai"] },
  { packages: ["firecrawl-mcp"], hosts: ["api.firecrawl.dev"] },
  { packages: ["@upstash/context7-mcp"], hosts: ["context7.com"] },
  { packages: ["@sentry/mcp-server", "mcp-server-sentry"], hosts: ["sentry.io"] },
  { packages: ["figma-developer-mcp"], hosts: ["api.figma.com"] },
  { packages: ["@supabase/mcp-server-supabase"], hosts: ["api.supabase.com"] },
  { packages: ["@perplexity-ai/mcp-server", "server-perplexity-ask"], hosts: ["api.perplexity.ai"] },
  { packages: ["airtable-mcp-server"], hosts: ["api.airtable.com"] },
  {
    packages: ["mcp-server-fetch"],
    note: 'it opens pages of the web: name those that it may in allowed_hosts, or let it reach all with network = "public"; with --allow-private-ips, since the addresses that names have in a VM are private to it',
  },
  {
    packages: ["@modelcontextprotocol/server-puppeteer", "@playwright/mcp"],
    note: 'it opens pages of the web: name those that it may in allowed_hosts, or let it reach all with network = "public"',
  },
];

/** Hosts of services, by how the names of their tokens begin. */
const HOSTS_OF_TOKENS: readonly (readonly [prefix: string, hosts: readonly string[]])[] = [
  ["GITHUB_", ["api.github.com"]],
  ["GH_", ["api.github.com"]],
  ["GITLAB_", ["gitlab.com"]],
  ["OPENAI_", ["api.openai.com"]],
  ["ANTHROPIC_", ["api.anthropic.com"]],
  ["GEMINI_", ["generativelanguage.googleapis.com"]],
  ["GOOGLE_MAPS_", ["maps.googleapis.com"]],
  ["BRAVE_", ["api.search.brave.com"]],
  ["SLACK_", ["slack.com"]],
  ["NOTION_", ["api.notion.com"]],
  ["STRIPE_", ["api.stripe.com"]],
  ["TAVILY_", ["api.tavily.com"]],
  ["EXA_", ["api.exa.ai"]],
  ["FIRECRAWL_", ["api.firecrawl.dev"]],
  ["LINEAR_", ["api.linear.app"]],
  ["FIGMA_", ["api.figma.com"]],
  ["SENTRY_", ["sentry.io"]],
  ["HF_", ["huggingface.co"]],
  ["HUGGINGFACE_", ["huggingface.co"]],
  ["PERPLEXITY_", ["api.perplexity.ai"]],
  ["AIRTABLE_", ["api.airtable.com"]],
  ["CLOUDFLARE_", ["api.cloudflare.com"]],
  ["SUPABASE_ACCESS_", ["api.supabase.com"]],
  ["AWS_", ["*.amazonaws.com"]],
];

/** Where a token of that name goes, as far as it is known. */
export function hostsOfToken(name: string): readonly string[] | undefined {
  return HOSTS_OF_TOKENS.find(([prefix]) => name.toUpperCase().startsWith(prefix))?.[1];
}

/** What is known of the server that a command starts: by the first word that is the name of its package, with or without a version. */
export function findKnownServer(command: readonly string[], image?: string): KnownServer | undefined {
  const names = [
    ...(image === undefined ? [] : [image.replace(/(?<=[^/]):[^/]*$/, "")]),
    ...command.slice(0, 8).map(packageOf),
  ];
  for (const name of names) {
    const known = KNOWN.find(({ packages }) => packages.includes(name));
    if (known !== undefined) return known;
  }
  return undefined;
}

/** `@scope/name@1.2.3`, `name==1.2`, `/usr/bin/name`: the name. */
export function packageOf(word: string): string {
  const bare = word.startsWith("/") ? word.slice(word.lastIndexOf("/") + 1) : word;
  return bare.replace(/(?<=.)@[^@/]*$/, "").replace(/[=<>~![].*$/, "");
}

/** What a server of a well-known name runs when nobody says it; `paths` are those that it sees. Undefined for other names. */
export function defaultProgram(
  name: string,
  { paths, secrets }: { paths: readonly string[]; secrets: readonly string[] },
): { command: string[]; env?: Record<string, string> } | { missing: string; why: string } | undefined {
  const npx = (server: string, ...args: string[]) => ["npx", "-y", `@modelcontextprotocol/server-${server}`, ...args];
  if (name === "filesystem")
    return paths.length === 0
      ? { missing: "allowed_paths", why: "there is no path that a filesystem server could show" }
      : { command: npx("filesystem", ...paths) };
  if (name === "github") {
    const token = secrets.find((secret) => /^(?:GITHUB|GH)_.*(?:TOKEN|PAT)$/.test(secret));
    const variable = "GITHUB_PERSONAL_ACCESS_TOKEN";
    return token === undefined || token === variable
      ? { command: npx("github") }
      : { command: npx("github"), env: { [variable]: referTo(token) } };
  }
  if (name === "database" || name === "postgres") {
    const url = secrets.find((secret) => /_(?:URL|URI|DSN)$/.test(secret));
    return url === undefined
      ? { missing: "secrets", why: "there is no secret such as DATABASE_URL that a database server could connect with" }
      : { command: npx("postgres", referTo(url)) };
  }
  return WITHOUT_ARGUMENTS.has(name) ? { command: [...(WITHOUT_ARGUMENTS.get(name) ?? [])] } : undefined;
}

const WITHOUT_ARGUMENTS = new Map<string, readonly string[]>([
  ["everything", ["npx", "-y", "@modelcontextprotocol/server-everything"]],
  ["memory", ["npx", "-y", "@modelcontextprotocol/server-memory"]],
  ["sequential-thinking", ["npx", "-y", "@modelcontextprotocol/server-sequential-thinking"]],
  // A VM's names have addresses of 198.18.0.0/15. What they lead to is looked at where they are dialled, by this host.
  ["fetch", ["uvx", "mcp-server-fetch", "--allow-private-ips"]],
  ["time", ["uvx", "mcp-server-time"]],
]);
