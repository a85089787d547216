import { BlueprintManifest } from '@hypercode/contracts'
import { Type } from '@sinclair/typebox'
import { expect, test } from 'vitest'
import { contentHash, createManifestReader } from '../src/index.ts'

const shape = Type.Object(
  {
    kind: Type.Literal('Thing'),
    size: Type.Integer({ minimum: 1 }),
    parts: Type.Optional(
      Type.Array(
        Type.Union([
          Type.Object({ kind: Type.Literal('wheel'), spokes: Type.Integer() }, { additionalProperties: false }),
          Type.Object({ kind: Type.Literal('bell'), tone: Type.String() }, { additionalProperties: false }),
        ]),
      ),
    ),
  },
  { additionalProperties: false },
)
const reader = createManifestReader(shape, (thing) =>
  thing.size > 10 ? [{ pointer: '/size', message: 'is more than there is room for' }] : [],
)
const placesOf = (text: string) =>
  reader.parse(text).faults.map(({ pointer, line, column, message }) => [pointer, line, column, message])

test('YAML and JSON of the same content are the same manifest with the same hash, whatever the order of keys', () => {
  const yaml = reader.parse('kind: Thing\nsize: 3\n').manifest
  const json = reader.parse('{"size":3,"kind":"Thing"}').manifest
  expect(yaml).toEqual({ kind: 'Thing', size: 3 })
  expect(contentHash(yaml)).toBe(contentHash(json))
  expect(contentHash({ kind: 'Thing', size: 4 })).not.toBe(contentHash(yaml))
})

test('faults of shape and of meaning come together, each with its place', () => {
  expect(placesOf('kind: Thing\nsize: 11\ncolour: red\n')).toEqual([
    ['/colour', 3, 1, '"colour" is not a key here'],
    ['/size', 2, 7, 'is more than there is room for'],
  ])
})

test('meaning is not asked about a manifest that it could not read', () => {
  expect(placesOf('kind: Thing\n')).toEqual([['', 1, 1, '"size" is missing']])
})

test('of a value that fits none of several shapes, the faults against the one that was meant are told', () => {
  expect(placesOf('kind: Thing\nsize: 1\nparts: [{ kind: bell, tone: 7 }]\n')).toEqual([
    ['/parts/0/tone', 3, 29, 'must be string'],
  ])
})

test('a value far from every shape gets one fault, not one of each shape', () => {
  expect(placesOf('kind: Thing\nsize: 1\nparts: [drum]\n').map(([pointer]) => pointer)).toEqual(['/parts/0'])
})

test('an entry of a blueprint with a key too many is told about that key alone', () => {
  const { faults } = createManifestReader(BlueprintManifest).read({
    apiVersion: 'hypercode/v1',
    kind: 'Blueprint',
    metadata: { name: 'coder' },
    spec: {
      entry: { module: '@hypercode/coder-agent', shell: 'rm -rf' },
      skills: ['code.edit'],
      slots: 1,
      resources: { cpu: 1, memory: '512Mi' },
    },
  })
  expect(faults).toEqual([expect.objectContaining({ pointer: '/spec/entry/shell' })])
})
