// Several in one call: the gateway mixes them. Whoever is added or removed here is asked of it; who is in the call is read from it.

import type { Calls } from './calls'
import { GatewayError, type Gateway, type Target } from './gateway'
import { isSeveral, isUp, otherCall, refusals } from './roster'
import type { CallView, Participant, PhoneState } from './state'

const REFRESH_MS = 2000

export interface ConferenceContext {
  gateway(): Gateway | null
  warn(text: string): void
  // What a dialled text calls.
  number(text: string): string | null
  // The agent's own number.
  own(): string
  // The name behind a number, where it is known.
  nameOf(number: string): string
}

export class Conference {
  private readonly state: PhoneState
  private readonly calls: Calls
  private readonly context: ConferenceContext
  // The calls of several, by what the page calls them.
  private readonly watched = new Set<number>()
  private timer: ReturnType<typeof setTimeout> | undefined

  constructor(state: PhoneState, calls: Calls, context: ConferenceContext) {
    this.state = state
    this.calls = calls
    this.context = context
  }

  // Calls a number into the active call.
  async add(text: string): Promise<void> {
    const view = this.calls.active
    const number = this.context.number(text)
    if (view && isUp(view) && number !== null) await this.join(view, { number }, `${number} could not be added`)
  }

  // Brings whoever waits into the active call.
  async merge(): Promise<void> {
    const { active } = this.calls
    const other = otherCall(this.state.calls, this.state.active)
    if (!active || !other || !isUp(active) || !isUp(other) || other.joining) return
    other.joining = true
    const call = await this.ask((gateway) => this.idOf(gateway, other), 'The calls could not be merged')
    const isDone = call !== null && (await this.join(active, { call_id: call }, 'The calls could not be merged'))
    if (!isDone) other.joining = false
  }

  async remove(participant: Participant): Promise<void> {
    const view = this.calls.active
    if (!view || participant.removing) return
    participant.removing = true
    const isDone = await this.ask(async (gateway) => {
      await gateway.removeParticipant(await this.idOf(gateway, view), participant.id)
      return true
    }, `${participant.party} could not be removed`)
    if (!isDone) participant.removing = false
    await this.refresh()
  }

  private async join(view: CallView, target: Target, failed: string): Promise<boolean> {
    const isDone = await this.ask(async (gateway) => {
      await gateway.addParticipant(await this.idOf(gateway, view), target)
      return true
    }, failed)
    if (!isDone) return false
    this.state.notice = null
    this.watched.add(view.id)
    await this.refresh()
    return true
  }

  private async refresh(): Promise<void> {
    clearTimeout(this.timer)
    const gateway = this.context.gateway()
    for (const id of this.watched) {
      const view = this.calls.find(id)
      if (!view || !gateway) this.watched.delete(id)
      // What is not known now is asked again soon.
      else await this.read(gateway, view).catch(() => undefined)
    }
    clearTimeout(this.timer)
    if (this.watched.size > 0) this.timer = setTimeout(() => void this.refresh(), REFRESH_MS)
  }

  private async read(gateway: Gateway, view: CallView): Promise<void> {
    const found = await gateway.participants(await this.idOf(gateway, view))
    const others = found.filter(({ party }) => party !== this.context.own())
    for (const why of refusals(view.participants, others)) this.context.warn(why)
    const removing = new Set(view.participants.filter((known) => known.removing).map(({ id }) => id))
    const isConference = isSeveral(view)
    view.participants = others
      .filter(({ state }) => state !== 'ended')
      .map(({ id, party, state }) => ({ id, party, state, removing: removing.has(id) }))
    const [only, ...rest] = view.participants
    if (!isConference || !only || rest.length > 0 || only.party === view.party) return
    // Whom the call was with has left; who joined stays.
    view.name = this.context.nameOf(only.party)
    view.party = only.party
  }

  private async idOf(gateway: Gateway, view: CallView): Promise<string> {
    const dialog = this.calls.session(view)?.dialog
    const id = dialog ? await gateway.callOf(dialog.callId) : null
    if (id === null) throw new GatewayError(404, 'The gateway does not know this call.')
    return id
  }

  // Null when it came to nothing, which was told.
  private async ask<T>(question: (gateway: Gateway) => Promise<T>, failed: string): Promise<T | null> {
    const gateway = this.context.gateway()
    try {
      if (gateway) return await question(gateway)
    } catch (error) {
      this.context.warn(`${failed}: ${error instanceof Error ? error.message : String(error)}`)
    }
    return null
  }
}
