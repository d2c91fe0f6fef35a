import type { ProfileTable } from "./schema.ts";

/** PostgreSQL and its poolers, MySQL, SQL Server, Oracle, Redis, MongoDB, Cassandra, ClickHouse, Elasticsearch, Neo4j, CockroachDB, Redshift, Db2. */
const DATABASE_PORTS =
  "5432,5433,6432,6543,3306,33060,1433,1521,6379,6380,27017-27019,9042,8123,8443,9000,9440,9200,7687,26257,5439,50000";

/** Profiles that are there without being written. A file cannot give their names to others. */
export const BUILT_IN_PROFILES: Readonly<Record<string, ProfileTable>> = {
  "filesystem-readonly": {
    description: "reads its allowed_paths, and has no network",
    only: { access: "ro", network: ["none"] },
  },
  "filesystem-readwrite": {
    description: "reads and, where a path says :rw, writes its allowed_paths, and has no network",
    only: { access: "rw", network: ["none"] },
  },
  "network-only": {
    description: "reaches its allowed_hosts, and sees no file of this host",
    network: "allowlist",
    only: { access: "none", network: ["allowlist"] },
  },
  "database-client": {
    description: "reaches its allowed_hosts at the ports of databases, in private networks too; paths are read-only",
    network: "allowlist",
    private_hosts: true,
    only: { access: "ro", network: ["allowlist"], ports: DATABASE_PORTS },
  },
  "package-registries": {
    description: "reaches the package registries that this host is set up with, and its allowed_hosts",
    allowed_hosts: ["registries"],
    only: { network: ["allowlist"] },
  },
  "web-research": {
    description: "reaches every public name, and sees no file of this host",
    network: "public",
    only: { access: "none", network: ["allowlist", "public"] },
  },
  isolated: {
    description: "has no network, and sees no file of this host",
    only: { access: "none", network: ["none"] },
  },
};
