// Parses the AsyncAPI document of the bus. It has no finding of any severity, and every schema file is a message of it.
// Usage: bus.mjs DOCUMENT

import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { Parser } from "@asyncapi/parser";

const file = process.argv[2];
const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf8"), { source: file });
for (const { severity, code, message, path } of diagnostics) console.log(severity, code, path.join("."), message);
const folder = join(dirname(file), "schemas");
const schemas = ["", "requests"].flatMap(name => readdirSync(join(folder, name))).filter(name => name.endsWith(".json"));
const messages = document?.allMessages().all().length;
if (messages !== schemas.length) console.log(`${messages} messages for ${schemas.length} schemas`);
if (diagnostics.length > 0 || messages !== schemas.length) process.exit(1);
