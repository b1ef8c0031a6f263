// Handing a call on: at once, or after asking whoever is to take it.

import type { URI } from 'sip.js'

import type { Calls } from './calls'
import { isUp, nameOf, otherCall, pairOf } from './roster'
import type { PhoneState } from './state'

export interface Dialling {
  // What a dialled text calls; null, which was told, when that is nothing.
  target(text: string): { number: string; uri: URI } | null
  dial(text: string, consults: number): Promise<void>
}

export class Transfers {
  private readonly state: PhoneState
  private readonly calls: Calls
  private readonly dialling: Dialling

  constructor(state: PhoneState, calls: Calls, dialling: Dialling) {
    this.state = state
    this.calls = calls
    this.dialling = dialling
  }

  // Hands the other side on to a number at once.
  blind(text: string): void {
    const view = this.calls.active
    if (!view || !isUp(view) || view.transfer !== null) return
    const target = this.dialling.target(text)
    if (!target) return
    this.state.notice = null
    view.transfer = target.number
    this.calls.session(view)?.transfer(target.uri)
  }

  // Asks a number first: the other side waits on hold meanwhile.
  async consult(text: string): Promise<void> {
    const view = this.calls.active
    if (!view || !isUp(view) || view.transfer !== null || otherCall(this.state.calls, view.id)) return
    if (!this.dialling.target(text) || !(await this.calls.park())) return
    if (this.calls.active === view && isUp(view)) await this.dialling.dial(text, view.id)
  }

  // Puts the two others through to each other; the agent is out of it when they are.
  complete(): void {
    const pair = pairOf(this.state.calls)
    const [first, second] = pair ? [this.calls.session(pair.first), this.calls.session(pair.second)] : []
    if (!pair || !first || !second) return
    this.state.notice = null
    pair.first.transfer = nameOf(pair.second)
    pair.second.joining = true
    first.transfer(second)
  }

  // Talks to the one who waited, and lets the other one wait.
  async swap(): Promise<void> {
    const other = otherCall(this.state.calls, this.state.active)
    const { active } = this.calls
    if (other && isUp(other) && active && isUp(active)) await this.calls.turnTo(other)
  }
}
