import { Type } from '@sinclair/typebox'
import { expect, test } from 'vitest'
import { compiledOnce } from '../src/compiled-once.ts'

test('schemas of the same text are compiled once, whatever they are called', () => {
  const seen: unknown[] = []
  const compile = compiledOnce((plain) => {
    seen.push(plain)
    return { of: plain }
  })
  const first = compile(Type.Object({ n: Type.Integer() }, { $id: 'First' }))
  expect(compile(Type.Object({ n: Type.Integer() }, { $id: 'Second' }))).toBe(first)
  expect(compile(Type.Object({ n: Type.Integer({ minimum: 1 }) }))).not.toBe(first)
  expect(seen).toHaveLength(2)
})

test('each compiler has a memory of its own', () => {
  const schema = Type.String()
  expect(compiledOnce(() => 'check')(schema)).toBe('check')
  expect(compiledOnce(() => 'serializer')(schema)).toBe('serializer')
})
