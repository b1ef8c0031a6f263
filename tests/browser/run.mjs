// Runs the stories one after the other (they share ports and the processor) and prints TAP. `node run.mjs [STORY…]` runs some, such as
// `hold page`. By the module, not the command line: Debian 12's Node.js has no option for the deadline.

import { readdirSync } from 'node:fs'
import { run } from 'node:test'
import { tap } from 'node:test/reporters'
import { fileURLToPath } from 'node:url'

// For one file: no story hangs for ever.
const DEADLINE_MS = 300_000

const folder = fileURLToPath(new URL('stories/', import.meta.url))
const wanted = process.argv.slice(2)
const names = readdirSync(folder).filter((name) => name.endsWith('.test.mjs')).sort()
const files = names.filter((name) => wanted.length === 0 || wanted.includes(name.replace('.test.mjs', '')))
if (files.length === 0) throw new Error(`no such story; there are ${names.join(', ')}`)

const results = run({ files: files.map((name) => folder + name), concurrency: 1, timeout: DEADLINE_MS })
results.on('test:fail', () => (process.exitCode = 1))
results.compose(tap).pipe(process.stdout)
