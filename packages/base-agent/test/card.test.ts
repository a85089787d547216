import { buildCard, cardFaults, cardHash } from '@hypercode/base-agent/card'
import fc from 'fast-check'
import { expect, test } from 'vitest'

const skills = fc.uniqueArray(
  fc.record({ id: fc.stringMatching(/^[a-z]{1,8}(\.[a-z]{1,8})?$/), name: fc.string({ maxLength: 20 }) }),
  { selector: ({ id }) => id, minLength: 1, maxLength: 8 },
)
const labels = fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.string({ maxLength: 20 }), { maxKeys: 5 })

test('a built card fits its schema, whatever is in the profile besides', () => {
  fc.assert(
    fc.property(skills, labels, (some, more) => {
      const profile = { name: 'coder', version: '1.0.0', skills: some, labels: more, slots: 4, secret: 'x' }
      return cardFaults(buildCard(profile)).length === 0
    }),
  )
})

test('equal cards have equal hashes, whatever their order', () => {
  fc.assert(
    fc.property(skills, labels, (some, more) => {
      const one = buildCard({ name: 'coder', version: '1.0.0', skills: some, labels: more })
      const other = {
        labels: Object.fromEntries(Object.entries(more).reverse()),
        skills: [...some].reverse(),
        version: '1.0.0',
        name: 'coder',
      }
      return cardHash(one) === cardHash(other)
    }),
  )
})

test('another card has another hash', () => {
  const card = buildCard({ name: 'coder', version: '1.0.0', skills: [{ id: 'a' }] })
  expect(cardHash({ ...card, version: '1.0.1' })).not.toBe(cardHash(card))
  expect(cardHash({ ...card, skills: [{ id: 'a', tags: ['x'] }] })).not.toBe(cardHash(card))
})

test('faults carry pointers', () => {
  expect(cardFaults({ name: 'A', version: '1', skills: [{ id: 'a' }, { id: 'a' }] })).toEqual([
    { pointer: '/name', message: expect.stringContaining('pattern') as string },
  ])
  expect(cardFaults({ name: 'a', version: '1', skills: [{ id: 'a' }, { id: 'a' }] })).toEqual([
    { pointer: '/skills/1/id', message: 'repeats the skill a of /skills/0' },
  ])
  expect(
    cardFaults({ name: 'a', skills: [], extra: 1 })
      .map(({ pointer }) => pointer)
      .sort(),
  ).toEqual(['/extra', '/skills', '/version'])
})
