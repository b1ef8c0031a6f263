// Runs the stories, several at once, each file in a network of its own, and prints TAP. `node run.mjs [STORY…]` runs some, such as
// `hold-sipjs page`; STORIES_AT_ONCE says how many at once.

import { readdirSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'

import { Story } from './lib/story.mjs'

// Those that take longest, longest first: they begin first, so that none is left over at the end.
const LONGEST = [
  'conference', 'page-consult', 'mid-call', 'page-return', 'transfer-jssip', 'transfer-sipjs', 'hold-sipjs', 'page-conference', 'hold-jssip', 'reclaiming',
  'keeping-alive', 'inside', 'media', 'registering'
]
// A story waits more than it computes, but sound stutters where the processor is short, as when browsers start: with four at once on two
// processors one story or two of thirty did.
const AT_ONCE = Number(process.env.STORIES_AT_ONCE) || Math.min(4, 1 + cpus().length)
// Stories that failed and are told once more.
const MOST_AGAIN = 3

const folder = fileURLToPath(new URL('stories/', import.meta.url))
const wanted = process.argv.slice(2)
const there = readdirSync(folder).filter((file) => file.endsWith('.test.mjs')).map((file) => file.replace('.test.mjs', ''))
const unknown = wanted.filter((name) => !there.includes(name))
if (unknown.length > 0) throw new Error(`no story ${unknown.join(', ')}; there are ${there.join(', ')}`)

const place = (name) => (LONGEST.includes(name) ? LONGEST.indexOf(name) : LONGEST.length)
const waiting = there.filter((name) => wanted.length === 0 || wanted.includes(name)).sort((a, b) => place(a) - place(b))
const running = new Set()
const told = []
const count = waiting.length

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    running.forEach((story) => story.kill())
    process.exit(1)
  })
}

const started = Date.now()
console.log(`TAP version 13\n1..${count}`)
await Promise.all(Array.from({ length: AT_ONCE }, takeNext))
const alone = await onceMore(told.filter(({ passed }) => !passed).map(({ name }) => name))
report()

async function takeNext() {
  while (waiting.length > 0) {
    told.push(await tell(waiting.shift()))
    print(told.at(-1), told.length)
  }
}

async function tell(name) {
  const story = new Story(name, `${folder}${name}.test.mjs`)
  running.add(story)
  const result = await story.told
  running.delete(story)
  return result
}

// What fails in company may have been short of processor: it is told once more by itself, and that counts. When much fails, that is not why.
async function onceMore(names) {
  const passed = []
  if (AT_ONCE === 1 || count === 1 || names.length > MOST_AGAIN) return passed
  for (const name of names) {
    console.log(`# ${name} failed; once more, by itself:`)
    const result = await tell(name)
    const place = told.findIndex((first) => first.name === name)
    print(result, place + 1)
    told[place] = result
    if (result.passed) passed.push(name)
  }
  return passed
}

function print({ name, passed, output, seconds }, number) {
  console.log(`# Subtest: ${name}\n${output.replace(/^(?=.)/gm, '    ').trimEnd()}`)
  console.log(`${passed ? 'ok' : 'not ok'} ${number} - ${name}\n  ---\n  duration_ms: ${seconds * 1000}\n  ...`)
}

function report() {
  const total = (word) => told.reduce((sum, { output }) => sum + Number(new RegExp(`^# ${word} (\\d+)$`, 'm').exec(output)?.[1] ?? 0), 0)
  const slowest = [...told].sort((a, b) => b.seconds - a.seconds).slice(0, 10)
  const failed = told.filter(({ passed }) => !passed).map(({ name }) => name)
  console.log([
    `# tests ${total('tests')}`, `# pass ${total('pass')}`, `# fail ${total('fail')}`,
    `# ${count} stories, ${AT_ONCE} at once, in ${Math.round((Date.now() - started) / 1000)} s; the slowest:`,
    ...slowest.map(({ name, seconds }) => `#   ${seconds.toFixed(1).padStart(5)} s  ${name}`),
    ...(alone.length > 0 ? [`# passed only by themselves: ${alone.join(', ')}`] : []),
    ...(failed.length > 0 ? [`# failed: ${failed.join(', ')}`] : [])
  ].join('\n'))
  if (failed.length > 0) process.exitCode = 1
}
