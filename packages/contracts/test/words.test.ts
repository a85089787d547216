import { readFileSync } from 'node:fs'
import path from 'node:path'
import {
  AGENT_EVENTS,
  CloudEvent,
  ERRORS,
  Id,
  MISSION_EVENTS,
  MISSION_STATES,
  TASK_STATES,
  cloudEventType,
  newId,
  problemType,
} from '@hypercode/contracts'
import { Value } from '@sinclair/typebox/value'
import { describe, expect, test } from 'vitest'

describe('error codes', () => {
  /** The rows of the table in the README, as they stand there. */
  const documented = readFileSync(path.join(import.meta.dirname, '../README.md'), 'utf8')
    .split('\n')
    .map((line) => /^\| `(\w+)` \| (\d{3}) \| (.*?) \| (.*?) \|$/.exec(line))
    .filter((match) => match !== null)
    .map(([, code, status, title, fix]) => ({ code, status: Number(status), title, fix: fix?.trim() }))

  test('are documented, every one, and none that does not exist', () => {
    const real = Object.entries<{ status: number; title: string; fix?: string }>(ERRORS).map(
      ([code, { status, title, fix }]) => ({
        code,
        status,
        title,
        fix: fix ?? '',
      }),
    )
    expect(documented).toEqual(real)
  })

  test('are words, each with an address and a status of an error', () => {
    for (const [code, { status }] of Object.entries(ERRORS)) {
      expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/)
      expect(status >= 400 && status < 600).toBe(true)
      expect(new URL(problemType(code)).pathname).toBe(`/problems/${code}`)
    }
  })

  test('a title is a sentence without a full stop, and a fix is one with', () => {
    for (const error of Object.values<{ title: string; fix?: string }>(ERRORS)) {
      expect(error.title).toMatch(/^[A-Z].*[^.]$/)
      if (error.fix !== undefined) expect(error.fix).toMatch(/^[A-Z].*\.$/)
    }
  })
})

describe('ids', () => {
  test('fit their schema, differ, and sort by the time they were made', () => {
    const ids = Array.from({ length: 5000 }, newId)
    expect(ids.every((id) => Value.Check(Id, id))).toBe(true)
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(ids)
  })
  test('have one spelling', () => {
    const id = newId()
    for (const wrong of [
      id.toUpperCase(),
      `{${id}}`,
      id.replaceAll('-', ''),
      ` ${id}`,
      `${id}\n`,
      `${id}0`,
      id.slice(1),
    ])
      expect([wrong, Value.Check(Id, wrong)]).toEqual([wrong, false])
  })
})

describe('events and states', () => {
  test('an event has one type of its own, in the form that CloudEvents wants', () => {
    const types = [...MISSION_EVENTS, ...AGENT_EVENTS].map(cloudEventType)
    expect(new Set(types).size).toBe(types.length)
    for (const type of types) expect(type).toMatch(/^hypercode\.[a-z]+(\.[a-z]+|_[a-z]+)*\.v1$/)
    expect(cloudEventType('task.completed')).toBe('hypercode.task.completed.v1')
  })
  test('words are spelled once: canceled has one l', () => {
    const words = [...MISSION_EVENTS, ...AGENT_EVENTS, ...TASK_STATES, ...MISSION_STATES, ...Object.keys(ERRORS)].join(
      ' ',
    )
    expect(words).not.toContain('cancell')
  })
  test('an event without a sequence number is none', () => {
    const event = {
      specversion: '1.0',
      id: 'm/1',
      source: '/missions/m',
      type: cloudEventType('task.queued'),
      time: '2026-01-01T00:00:00Z',
      datacontenttype: 'application/json',
      tenantid: newId(),
      seq: 1,
      data: {},
    }
    const faults = (value: unknown): string[] =>
      [...Value.Errors(CloudEvent, value)].map((fault) => fault.path).filter((at) => at !== '/time')
    expect(faults(event)).toEqual([])
    expect(faults({ ...event, seq: 0 })).toEqual(['/seq'])
    expect(faults({ ...event, seq: undefined })).toContain('/seq')
    expect(faults({ ...event, extra: 1 })).toEqual(['/extra'])
  })
})
