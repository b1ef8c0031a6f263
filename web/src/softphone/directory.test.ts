import { expect, test } from 'vitest'

import { search } from './directory'
import type { Colleague } from './state'

const PEOPLE: Colleague[] = [
  { number: '1010', name: 'Čeněk', presence: 'offline' },
  { number: '1002', name: 'Bob', presence: 'busy' },
  { number: '1001', name: 'Anna Meier', presence: 'available' },
  { number: '9', name: '', presence: 'available' }
]

test('everybody but oneself is listed by name', () => {
  expect(search(PEOPLE, '', '1002').map(({ number }) => number)).toEqual(['9', '1001', '1010'])
})

test('part of a name or of a number finds somebody', () => {
  const found = (text: string) => search(PEOPLE, text, '').map(({ name }) => name)
  expect(found(' MEI ')).toEqual(['Anna Meier'])
  expect(found('10')).toEqual(['Anna Meier', 'Bob', 'Čeněk'])
  expect(found('zoe')).toEqual([])
})
