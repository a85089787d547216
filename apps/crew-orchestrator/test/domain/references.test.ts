import { cpuMsOf } from '@hypercode/testkit/tools'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { evaluate, parseCondition } from '../../src/domain/condition.ts'
import { ReferenceError, fill, lookUp, parsePath, referencesIn } from '../../src/domain/references.ts'

const scope = {
  mission: { id: 'm-1', input: { goal: 'go', list: [1, { deep: ['a', 'b'] }], none: null, 'with-dash': true } },
  tasks: { plan: { output: { files: ['x', 'y', 'z'], text: 'straße' }, state: 'completed' } },
}

describe('a look-up', () => {
  test.for([
    ['mission.input.goal', 'go'],
    ['mission.input.list[0]', 1],
    ['mission.input.list.1.deep[1]', 'b'],
    ['mission.input.list.length', 2],
    ['tasks.plan.output.files.length', 3],
    ['tasks.plan.output.text.length', 6],
    ['mission.input.with-dash', true],
    [' mission.id ', 'm-1'],
    ['mission.input.none', null],
    // Null goes through: a task that was skipped has no output to look into.
    ['mission.input.none.deeper.still', null],
  ] as const)('%s', ([path, value]) => {
    expect(lookUp(path, scope)).toEqual(value)
  })

  test.for([
    ['mission.input.wrong', 'mission.input has no "wrong"'],
    ['mission.input.list[2]', 'mission.input.list has no "2"'],
    ['tasks.other.output', 'tasks has no "other"'],
    ['item', 'the scope has no "item"'],
    ['mission.input.goal.length.x', 'has no "x"'],
    ['mission.input.goal[0]', 'has no "0"'],
  ] as const)('%s leads nowhere and says where', ([path, words]) => {
    expect(() => lookUp(path, scope)).toThrow(ReferenceError)
    expect(() => lookUp(path, scope)).toThrow(words)
  })

  test.for(['', 'a..b', '.a', 'a.', 'a[x]', 'a b', '1a', 'a[1', 'a()', 'a+b', "a['b']", 'a`b`', 'a?.b', 'a[9999999]'])(
    '%s is not a path',
    (text) => {
      expect(parsePath(text)).toBeUndefined()
      expect(() => fill(`\${${text}}`, scope)).toThrow(ReferenceError)
    },
  )

  test('reaches own members only: nothing of a prototype', () => {
    const members = [
      ...Object.getOwnPropertyNames(Object.prototype),
      ...Object.getOwnPropertyNames(Array.prototype),
      ...Object.getOwnPropertyNames(String.prototype),
    ].filter((name) => name !== 'length')
    for (const name of members) {
      for (const base of ['mission', 'mission.input', 'mission.input.list', 'mission.input.goal', 'tasks']) {
        expect(() => lookUp(`${base}.${name}`, scope), `${base}.${name}`).toThrow(ReferenceError)
      }
    }
    expect(lookUp('mission.input.constructor', { mission: { input: { constructor: 'mine' } } })).toBe('mine')
    expect(lookUp('mission.__proto__', { mission: JSON.parse('{"__proto__": 1}') as object })).toBe(1)
  })

  test('runs no code, whatever is asked', () => {
    const trap = new Proxy(() => 0, {
      apply: () => {
        throw new Error('called')
      },
      construct: () => {
        throw new Error('constructed')
      },
    })
    const trapped = { mission: { input: trap, run: trap } }
    for (const path of ['mission.run', 'mission.run()', 'mission.input.call', 'mission.run.constructor.call']) {
      try {
        lookUp(path, trapped)
      } catch (error) {
        expect(error).toBeInstanceOf(ReferenceError)
      }
    }
  })
})

describe('a template', () => {
  test('keeps the type of a single reference and writes values into longer texts', () => {
    expect(fill('${mission.input.list}', scope)).toEqual([1, { deep: ['a', 'b'] }])
    expect(fill('a ${mission.input.goal} b ${mission.input.list[0]}', scope)).toBe('a go b 1')
    expect(fill('l: ${tasks.plan.output.files}', scope)).toBe('l: ["x","y","z"]')
    expect(fill('n: ${mission.input.none}', scope)).toBe('n: null')
    expect(fill({ a: ['${mission.id}', 1, null, true] }, scope)).toEqual({ a: ['m-1', 1, null, true] })
  })

  test('values are never read as templates or patterns again', () => {
    const hostile = { mission: { input: { text: '${mission.id} $& $1 $` ${', id: 'x' } } }
    expect(fill('<${mission.input.text}>', hostile)).toBe('<${mission.id} $& $1 $` ${>')
    expect(fill('${mission.input.text}', hostile)).toBe('${mission.id} $& $1 $` ${')
  })

  test('a text without references, and everything that is no text, is copied', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        fc.pre(referencesIn(JSON.stringify(value)).length === 0)
        expect(fill(value, scope)).toEqual(value)
      }),
    )
  })

  test('any text and any data: a value, or a ReferenceError, and the data stays as it is', () => {
    const part = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom(
        '${',
        '}',
        '${}',
        '${mission',
        '${mission.input',
        '.length',
        '__proto__',
        '[0]',
        '.constructor',
        '$$',
      ),
      fc.string().map((path) => `\${mission.input.${path}}`),
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), fc.jsonValue({ maxDepth: 3 }), (parts, input) => {
        const data = { mission: { input } }
        const before = JSON.stringify(data)
        try {
          fill(parts.join(''), data)
        } catch (error) {
          expect(error).toBeInstanceOf(ReferenceError)
        }
        expect(JSON.stringify(data)).toBe(before)
        expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
      }),
      { numRuns: 500 },
    )
  })

  test('a member named __proto__ stays a member', () => {
    const filled = fill(JSON.parse('{"__proto__": {"a": "${mission.id}"}}'), scope) as object
    expect(Object.getPrototypeOf(filled)).toBe(Object.prototype)
    expect(JSON.stringify(filled)).toBe('{"__proto__":{"a":"m-1"}}')
  })
})

describe('a condition', () => {
  test.for([
    ['${tasks.plan.output.files.length} > 0', true],
    ['${tasks.plan.output.files.length} >= 4', false],
    ['${mission.input.goal} == "go"', true],
    ["${mission.input.goal} != 'go'", false],
    ["'a' < 'b'", true],
    ['2 <= 1.5', false],
    ['-1 < 0', true],
    ['007 == 7', true],
    ['true', true],
    ['false', false],
    ['null', false],
    ["''", false],
    ['${mission.input.none} == null', true],
    ['${mission.input.none.deeper} == null', true],
    // An order exists only between two numbers or two texts.
    ['${mission.input.none} > 0', false],
    ['${mission.input.none} <= 0', false],
    ['"5" > 4', false],
    ['"5" == 5', false],
    ['${mission.input.list[1].deep} == ${mission.input.list[1].deep}', true],
    // What stands in quotes is literal.
    [String.raw`"\x" == '\x'`, true],
    [String.raw`"\d" != "d"`, true],
    ['"a\tb" == "a\tb"', true],
  ] as const)('%s is %s', ([text, truth]) => {
    expect(evaluate(text, scope)).toBe(truth)
  })

  test.for([
    '',
    'a',
    '1 +',
    '1 == ',
    '== 1',
    '1 == 2 == 3',
    '${a} && ${b}',
    'foo()',
    '"open',
    '1 === 1',
    '!true',
    '${mission.input} || true',
    // Within quotes a reference would be compared as a text, or look as if it were not one.
    '"${mission.input.goal}" == "go"',
    "'x ${mission.input.goal}' == 'x go'",
  ])('%s is none', (text) => {
    expect(parseCondition(text)).toBeUndefined()
  })

  test('any text is a condition or none, and a condition is true, false or an unresolved reference', () => {
    const piece = fc.oneof(
      fc.string(),
      fc.constantFrom(' == ', ' != ', ' > ', '"', "'", '${mission.input}', '${', '}', '1', '-', '.', '\\', 'null', ' '),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 7 }), fc.jsonValue({ maxDepth: 2 }), (pieces, input) => {
        const text = pieces.join('')
        if (parseCondition(text) === undefined) return
        try {
          expect(typeof evaluate(text, { mission: { input } })).toBe('boolean')
        } catch (error) {
          expect(error).toBeInstanceOf(ReferenceError)
        }
      }),
      { numRuns: 2000 },
    )
  })

  test('is judged in no time, however it was made', () => {
    const tookMs = cpuMsOf(() => {
      for (const bait of [' ', '${', '"', "'", '1.', '-', '${}==', '0']) {
        parseCondition(bait.repeat(5000))
        referencesIn(bait.repeat(5000))
      }
    })
    expect(tookMs).toBeLessThan(1000)
  })
})
