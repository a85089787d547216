import fc from 'fast-check'
import { expect, test } from 'vitest'
import { childTraceparent, correlationIdOf, newTraceparent, parseTraceparent } from '../src/index.ts'

const VALID = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

test('a new traceparent is valid and unlike the last', () => {
  const made = Array.from({ length: 100 }, newTraceparent)
  expect(new Set(made).size).toBe(100)
  for (const text of made) expect(parseTraceparent(text)).toMatchObject({ flags: '01' })
})

test('a child stays in the trace of its parent with a span of its own', () => {
  const child = parseTraceparent(childTraceparent(VALID))
  expect(child).toMatchObject({ traceId: '4bf92f3577b34da6a3ce929d0e0e4736', flags: '01' })
  expect(child?.spanId).not.toBe('00f067aa0ba902b7')
  expect(parseTraceparent(childTraceparent(VALID.replace(/01$/, '00')))?.flags).toBe('00')
})

test.each([
  undefined,
  '',
  'nonsense',
  VALID.toUpperCase(),
  VALID.replace('00-', 'ff-'),
  VALID.replace('4bf92f3577b34da6a3ce929d0e0e4736', '0'.repeat(32)),
  VALID.replace('00f067aa0ba902b7', '0'.repeat(16)),
  `${VALID}-more`,
  `${VALID}\n`,
  ` ${VALID}`,
  VALID.slice(0, -1),
  `01${VALID.slice(2)}-${'x'.repeat(300)}`,
])('%j is no traceparent, and its child begins a new trace', (text) => {
  expect(parseTraceparent(text)).toBeUndefined()
  expect(parseTraceparent(childTraceparent(text))).toBeDefined()
})

test('a later version is read as far as ours goes', () => {
  expect(parseTraceparent(`cc${VALID.slice(2)}-what-the-future-holds`)?.spanId).toBe('00f067aa0ba902b7')
})

test('a correlation id is taken over when it is harmless, and made otherwise', () => {
  expect(correlationIdOf('order-17.A_b')).toBe('order-17.A_b')
  expect(correlationIdOf('x'.repeat(128))).toBe('x'.repeat(128))
  const refused = [undefined, '', ' ', 'a b', 'x'.repeat(129), 'a\nb', '"', '<script>', 'ü', ['a', 'b'], 'a\n']
  const made = refused.map((header) => correlationIdOf(header))
  for (const id of made) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/)
  expect(new Set(made).size).toBe(refused.length)
})

// Goal: nothing that a caller sends reaches a header or a line but by the two forms.
test('whatever comes in, what goes out has the form', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(correlationIdOf(text)).toMatch(/^[A-Za-z0-9._-]{1,128}$/)
      expect(childTraceparent(text)).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/)
    }),
  )
})
