import { describe, expect, test } from 'vitest'

import { canTakeAnother, isSeveral, otherCall, pairOf, refusals, succession, waitingCall } from './roster'
import type { CallView } from './state'

function call(id: number, fields: Partial<CallView> = {}): CallView {
  const fresh = { name: '', since: null, muted: false, held: false, heldByGateway: false, consults: null, transfer: null }
  return { id, direction: 'outgoing', party: `100${id}`, state: 'connected', joining: false, participants: [], digits: '', ...fresh, ...fields }
}

describe('another call', () => {
  test('is taken beside one, not beside two, and not while somebody calls already', () => {
    expect(canTakeAnother([])).toBe(true)
    expect(canTakeAnother([call(1)])).toBe(true)
    expect(canTakeAnother([call(1), call(2)])).toBe(false)
    expect(canTakeAnother([call(1, { state: 'incoming' })])).toBe(false)
    expect(canTakeAnother([call(1, { state: 'answering' })])).toBe(false)
  })

  test('is told apart from one that waits to be answered', () => {
    const calls = [call(1), call(2, { state: 'incoming' })]
    expect(otherCall(calls, 1)).toBeNull()
    expect(waitingCall(calls, 1)?.id).toBe(2)
    expect(waitingCall(calls, 2)).toBeNull()
    expect(otherCall([call(1), call(2, { state: 'ringing' })], 1)?.id).toBe(2)
    expect(otherCall([call(1), call(2, { state: 'ending' })], 1)).toBeNull()
  })
})

describe('two calls are put through to each other', () => {
  test('the first party goes to who was asked, whichever of them is talked to', () => {
    const [first, asked] = [call(1, { held: true }), call(2, { consults: 1 })]
    expect(pairOf([first, asked])).toEqual({ first, second: asked })
    expect(pairOf([asked, first])).toEqual({ first, second: asked })
  })

  test('the later to the earlier when neither was made for the other', () => {
    expect(pairOf([call(1), call(2)])?.second.id).toBe(2)
  })

  test('also while the one who was asked still rings, but not the other way round', () => {
    expect(pairOf([call(1, { held: true }), call(2, { state: 'ringing', consults: 1 })])?.second.id).toBe(2)
    expect(pairOf([call(1, { state: 'ringing' }), call(2)])).toBeNull()
  })

  test('not while somebody only calls, ends, or is handed on already', () => {
    expect(pairOf([call(1)])).toBeNull()
    expect(pairOf([call(1), call(2, { state: 'incoming' })])).toBeNull()
    expect(pairOf([call(1), call(2, { state: 'ending' })])).toBeNull()
    expect(pairOf([call(1, { transfer: '1002' }), call(2)])).toBeNull()
    expect(pairOf([call(1), call(2, { joining: true })])).toBeNull()
  })
})

describe('when a call ends', () => {
  test('whoever consulted is with the first party again', () => {
    const first = call(1, { held: true })
    expect(succession([first], 2, call(2, { consults: 1 }))).toEqual({ active: 1, resumed: first })
  })

  test('a first party that is not held is not resumed, nor one that is being joined or handed on', () => {
    expect(succession([call(1)], 2, call(2, { consults: 1 })).resumed).toBeNull()
    expect(succession([call(1, { held: true, joining: true })], 2, call(2, { consults: 1 })).resumed).toBeNull()
    expect(succession([call(1, { held: true, transfer: '1002' })], 2, call(2, { consults: 1 })).resumed).toBeNull()
  })

  test('a call that was answered meanwhile waits on hold until the agent takes it back', () => {
    expect(succession([call(1, { held: true })], 2, call(2))).toEqual({ active: 1, resumed: null })
  })

  test('the one that is talked in goes on', () => {
    expect(succession([call(2, { consults: 1 })], 2, call(1, { held: true }))).toEqual({ active: 2, resumed: null })
  })

  test('somebody who calls comes to the front when nobody else is left', () => {
    expect(succession([call(2, { state: 'incoming' })], 1, call(1)).active).toBe(2)
    expect(succession([], 1, call(1)).active).toBeNull()
  })
})

describe('several in one call', () => {
  const asked = { id: 'leg_2', party: '1002', state: 'ringing', removing: false }

  test('are those who talk, not those who are called', () => {
    const customer = { id: 'leg_1', party: '+4930123456', state: 'connected', removing: false }
    expect(isSeveral(call(1, { participants: [customer, asked] }))).toBe(false)
    expect(isSeveral(call(1, { participants: [customer, { ...asked, state: 'connected' }] }))).toBe(true)
  })

  test('who was asked and did not come is told of, once', () => {
    const gone = { id: 'leg_2', party: '1002', state: 'ended', sip_status: 486 }
    expect(refusals([asked], [gone])).toEqual(['1002 did not join: Busy.'])
    expect(refusals([], [gone])).toEqual([])
    expect(refusals([{ ...asked, state: 'connected' }], [{ ...gone, sip_status: 200 }])).toEqual([])
  })

  test('who was let go is not told of', () => {
    const gone = { id: 'leg_2', party: '1002', state: 'ended', sip_status: 487 }
    expect(refusals([asked], [gone])).toEqual([])
    expect(refusals([{ ...asked, removing: true }], [{ ...gone, sip_status: 480 }])).toEqual([])
  })
})
