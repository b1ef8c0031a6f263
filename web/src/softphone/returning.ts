// Calls that outlive the page: what is kept of each, and the way back to it after the page was loaded again. The call takes its own place
// by INVITE with Replaces (RFC 3891); one of which nothing is kept, as after a crash, the gateway brings back when it is asked to.

import { claim } from './claim'
import type { Gateway, RunningCall } from './gateway'
import { Keeping, type Kept, type KeptCall } from './keeping'
import type { DialogIds } from './replaces'
import { isUp, nameOf } from './roster'
import type { CallView, LostCall, PhoneState } from './state'

const REFRESH_MS = 3000
// When the gateway has not called by then, it may be asked again.
const PATIENCE_MS = 10_000

export interface ReturningContext {
  gateway(): Gateway | null
  dialog(view: CallView): DialogIds | null
  // The agent's own number.
  own(): string
  inform(text: string): void
}

interface Held {
  // What is kept of it; null of a call the gateway told of.
  call: KeptCall | null
  // The call's id at the gateway, where that is how it is known.
  id: string | null
  release: () => void
}

export class Returning {
  private readonly state: PhoneState
  private readonly context: ReturningContext
  private readonly keeping: Keeping
  private readonly lost = new Map<string, Held>()
  // The calls of this page that no other tab may offer, by their Call-ID.
  private readonly claims = new Map<string, () => void>()
  private timer: ReturnType<typeof setTimeout> | undefined
  private asked = false

  constructor(state: PhoneState, context: ReturningContext, keeping: Keeping) {
    this.state = state
    this.context = context
    this.keeping = keeping
    window.addEventListener('pagehide', () => keeping.touch())
  }

  // What the page before this one kept, if there are calls of it that nobody else has.
  async load(): Promise<Kept | null> {
    const kept = this.keeping.load()
    if (!kept) return null
    const claims = await Promise.all(kept.calls.map(async (call) => ({ call, release: await claim(call.callId) })))
    for (const { call, release } of claims) {
      if (release) this.offer({ key: call.callId, party: call.party, name: call.name, busy: false }, { call, id: null, release })
    }
    if (this.lost.size > 0) return kept
    this.keeping.clear()
    return null
  }

  // Keeps what there is now.
  save(address: string, secret: string): void {
    const running = this.state.calls.flatMap((view) => this.describe(view))
    const waiting = [...this.lost.values()].flatMap(({ call }) => call ?? [])
    this.keeping.save({ address, secret, calls: [...running, ...waiting] })
    this.settleClaims(new Set(running.map(({ callId }) => callId)))
  }

  kept(key: string): Held | null {
    return this.lost.get(key) ?? null
  }

  // The gateway knows this page: what became of its calls can be asked.
  registered(): void {
    if (this.asked && this.lost.size === 0) return
    void this.refresh()
  }

  // Has the gateway call this page, which answers by itself.
  async askFor(key: string): Promise<void> {
    const [id, shown] = [this.lost.get(key)?.id, this.state.lost.find((call) => call.key === key)]
    if (!id || !shown) return
    try {
      await this.context.gateway()?.reclaim(id)
      setTimeout(() => (shown.busy = false), PATIENCE_MS)
    } catch {
      this.context.inform('The call has ended.')
      this.settle(key)
    }
  }

  // Ends a call that was lost. Where the gateway does not take the order, it ends the call by itself soon.
  async hangUp(key: string): Promise<void> {
    const [held, gateway] = [this.lost.get(key), this.context.gateway()]
    const shown = this.state.lost.find((call) => call.key === key)
    if (!held || !shown) return
    shown.busy = true
    try {
      const id = held.id ?? (held.call && (await gateway?.callOf(held.call.callId)))
      if (id) await gateway?.hangUp(id)
    } catch {
      this.context.inform('The gateway could not be told. It ends the call by itself in a moment.')
    }
    this.settle(key)
  }

  // A call is lost no more: it was returned to, or has ended.
  settle(key: string): void {
    this.lost.get(key)?.release()
    this.lost.delete(key)
    this.state.lost = this.state.lost.filter((call) => call.key !== key)
  }

  // A call that is brought back has arrived: whether it is one that this page asked for.
  settleReclaimed(): boolean {
    const asked = this.state.lost.find(({ key, busy }) => busy && this.lost.get(key)?.call === null)
    if (asked) this.settle(asked.key)
    return asked !== undefined
  }

  // Nothing is kept any more.
  clear(): void {
    clearTimeout(this.timer)
    for (const key of [...this.lost.keys()]) this.settle(key)
    this.settleClaims(new Set())
    this.keeping.clear()
    this.asked = false
  }

  private offer(shown: LostCall, held: Held): void {
    this.lost.set(shown.key, held)
    this.state.lost.push(shown)
  }

  private async refresh(): Promise<void> {
    clearTimeout(this.timer)
    // The answer tells of a time when a call that is returned to meanwhile had its old dialog.
    const before = this.dialogs()
    const calls = await this.context.gateway()?.calls().catch(() => null)
    if (calls) {
      this.forgetEnded(calls)
      if (!this.asked) this.offerAway(calls, new Set([...before, ...this.dialogs()]))
      this.asked = true
    }
    clearTimeout(this.timer)
    if (this.lost.size > 0) this.timer = setTimeout(() => void this.refresh(), REFRESH_MS)
  }

  private forgetEnded(calls: RunningCall[]): void {
    for (const [key, { call, id }] of this.lost) {
      const isThere = calls.some((running) => running.id === id || running.legs.some((leg) => leg.sip_call_id === call?.callId))
      const shown = this.state.lost.find((candidate) => candidate.key === key)
      if (isThere || !shown || shown.busy) continue
      this.context.inform(`Your call with ${nameOf(shown)} has ended.`)
      this.settle(key)
    }
  }

  // The Call-IDs of this page's calls, of those it is in and of those that were lost.
  private dialogs(): string[] {
    const kept = [...this.lost.values()].flatMap(({ call }) => call?.callId ?? [])
    return [...kept, ...this.state.calls.flatMap((view) => this.context.dialog(view)?.callId ?? [])]
  }

  // Calls of this extension whose phone is gone, and which nobody has kept: none of `ours`.
  private offerAway(calls: RunningCall[], ours: Set<string>): void {
    const own = this.context.own()
    for (const { id, legs } of calls) {
      const away = legs.find((leg) => leg.away && leg.extension === own && !ours.has(leg.sip_call_id ?? ''))
      const other = legs.find((leg) => leg !== away)
      if (away) this.offer({ key: id, party: other?.party ?? '', name: '', busy: false }, { call: null, id, release: () => undefined })
    }
  }

  private describe(view: CallView): KeptCall[] {
    const dialog = this.context.dialog(view)
    if (!isUp(view) || view.joining || !dialog) return []
    const { party, name, direction, since } = view
    return [{ ...dialog, party, name, direction, since: since ?? Date.now() }]
  }

  private settleClaims(running: Set<string>): void {
    for (const [callId, release] of this.claims) {
      if (running.has(callId)) continue
      release()
      this.claims.delete(callId)
    }
    for (const callId of running) {
      if (this.claims.has(callId)) continue
      this.claims.set(callId, () => undefined)
      void claim(callId).then((release) => {
        if (release && this.claims.has(callId)) this.claims.set(callId, release)
        else release?.()
      })
    }
  }
}
