// What a page that is loaded again needs to return to its calls. It is kept in the tab (sessionStorage), and only while there are calls:
// the secret with it, without which nobody could return in the half minute the gateway waits. No other tab and no later session sees it.

import type { DialogIds } from './replaces'

export interface KeptCall extends DialogIds {
  party: string
  name: string
  direction: 'outgoing' | 'incoming'
  since: number
}

export interface Kept {
  address: string
  secret: string
  calls: KeptCall[]
}

const KEY = 'patchcord.calls'
// The gateway waits for seconds; after this, nobody need be asked.
const LONGEST_MS = 10 * 60_000

export class Keeping {
  private readonly storage: Storage
  private readonly now: () => number

  constructor(storage: Storage, now: () => number = Date.now) {
    this.storage = storage
    this.now = now
  }

  // Forgets everything when there is no call.
  save(kept: Kept): void {
    if (kept.calls.length === 0) return this.clear()
    this.storage.setItem(KEY, JSON.stringify({ ...kept, at: this.now() }))
  }

  // The page is about to go: from now on the gateway waits.
  touch(): void {
    const kept = this.load()
    if (kept) this.save(kept)
  }

  // Null, and nothing kept any more, when it is too old or not what this version wrote.
  load(): Kept | null {
    const text = this.storage.getItem(KEY)
    if (text === null) return null
    const kept = read(text)
    if (kept && this.now() - kept.at < LONGEST_MS) return { address: kept.address, secret: kept.secret, calls: kept.calls }
    this.clear()
    return null
  }

  clear(): void {
    this.storage.removeItem(KEY)
  }
}

function read(text: string): (Kept & { at: number }) | null {
  try {
    const kept: unknown = JSON.parse(text)
    return isKept(kept) ? kept : null
  } catch {
    return null
  }
}

function isKept(kept: unknown): kept is Kept & { at: number } {
  const { address, secret, calls, at } = (kept ?? {}) as Record<string, unknown>
  return typeof address === 'string' && typeof secret === 'string' && typeof at === 'number' && Array.isArray(calls) && calls.every(isCall)
}

function isCall(call: unknown): call is KeptCall {
  const { callId, localTag, remoteTag, party, name, since } = (call ?? {}) as Record<string, unknown>
  return [callId, localTag, remoteTag, party, name].every((text) => typeof text === 'string') && typeof since === 'number'
}
