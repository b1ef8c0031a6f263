// Rules about several calls at once: which may be added, who can be joined with whom, and what follows the end of one. Acts on nothing.

import { refusalText } from './causes'
import type { RunningParticipant } from './gateway'
import type { CallView, Participant } from './state'

// One to talk in and one to wait: a third would leave somebody without anyone's eye on them.
export const MOST_CALLS = 2

export function isUp(call: CallView): boolean {
  return call.state === 'connected'
}

// Being made, and not answered yet.
export function isBeingMade(call: CallView): boolean {
  return call.state === 'calling' || call.state === 'returning' || call.state === 'ringing'
}

// Whether somebody who calls now can be told to the agent.
export function canTakeAnother(calls: readonly CallView[]): boolean {
  return calls.length < MOST_CALLS && !calls.some((call) => call.state === 'incoming' || call.state === 'answering')
}

// The call beside the active one, if there is one that was answered or is being made.
export function otherCall(calls: readonly CallView[], active: number | null): CallView | null {
  return calls.find((call) => call.id !== active && (isUp(call) || isBeingMade(call))) ?? null
}

// Somebody who calls while another call is the active one.
export function waitingCall(calls: readonly CallView[], active: number | null): CallView | null {
  return calls.find((call) => call.id !== active && (call.state === 'incoming' || call.state === 'answering')) ?? null
}

export interface Pair {
  // Whose party is handed on.
  first: CallView
  // To whom.
  second: CallView
}

// The two calls whose parties can be put through to each other. The one that was asked last may still ring.
export function pairOf(calls: readonly CallView[]): Pair | null {
  const candidates = calls.filter((call) => (isUp(call) || isBeingMade(call)) && !call.joining)
  const second = candidates.find((call) => candidates.some((other) => other.id === call.consults)) ?? candidates.at(-1)
  const first = candidates.find((call) => call !== second)
  return first && second && isUp(first) && first.transfer === null ? { first, second } : null
}

export interface Succession {
  active: number | null
  // The call to take back from hold: whoever consulted is with the first party again.
  resumed: CallView | null
}

// What becomes of the others when a call has ended; `calls` are those that are left.
export function succession(calls: readonly CallView[], active: number | null, ended: CallView): Succession {
  if (ended.id !== active) return { active, resumed: null }
  const first = calls.find((call) => call.id === ended.consults)
  const isLeaving = first?.joining || first?.transfer != null
  if (first) return { active: first.id, resumed: isUp(first) && first.held && !isLeaving ? first : null }
  const next = calls.find((call) => call.state !== 'incoming') ?? calls[0]
  return { active: next?.id ?? null, resumed: null }
}

// Whether more than one talk to the agent in one call.
export function isSeveral(call: CallView): boolean {
  return call.participants.filter(({ state }) => state === 'connected').length > 1
}

const LET_GO = 487

// What to tell of those who were asked to join and did not; who was let go or hung up needs no word.
export function refusals(known: readonly Participant[], found: readonly RunningParticipant[]): string[] {
  return found.flatMap(({ id, party, state, sip_status: status }) => {
    const wasCalled = known.some((before) => before.id === id && before.state !== 'connected' && !before.removing)
    const isRefusal = state === 'ended' && status !== null && status >= 300 && status !== LET_GO
    return wasCalled && isRefusal ? [`${party} did not join: ${refusalText({ status, phrase: '', reasons: [] })}`] : []
  })
}

// How a call is called.
export function nameOf(call: Pick<CallView, 'name' | 'party'>): string {
  return call.name || call.party
}
