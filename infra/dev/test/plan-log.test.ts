import { expect, test } from 'vitest'
import { describePlan, parsePlans } from '../src/bench/plan-log.ts'

const SCAN = { 'Node Type': 'Seq Scan', 'Relation Name': 'tasks', 'Actual Rows': 3 }
const entry = (text: string, hit: number, read: number, ms = '0.123'): string => {
  const plan = {
    'Node Type': 'Limit',
    'Actual Rows': 1,
    'Shared Hit Blocks': hit,
    'Shared Read Blocks': read,
    Plans: [SCAN],
  }
  const json = JSON.stringify({ 'Query Text': text, Plan: plan }, null, 2)
  return `2030-01-01 00:00:00 UTC [1] LOG:  duration: ${ms} ms  plan:\n\t${json.replaceAll('\n', '\n\t')}\n`
}

// Goal: what is asserted about plans is asserted about all of them.
// Method: the log as Postgres writes it, with other lines and statements over several lines between.
test('every plan in a log is found, with its pages and all of its nodes', () => {
  const log = `${entry('select 1\n\t}\n', 2, 3)}LOG:  checkpoint\n\tduration: no\n${entry('select 2', 0, 1, '7')}`
  const seen = parsePlans(log)
  expect(seen.map(({ text, ms, pages }) => ({ text, ms, pages }))).toEqual([
    { text: 'select 1\n\t}\n', ms: 0.123, pages: 5 },
    { text: 'select 2', ms: 7, pages: 1 },
  ])
  expect(seen.map(({ nodes }) => nodes.map((node) => node['Node Type']))).toEqual([
    ['Limit', 'Seq Scan'],
    ['Limit', 'Seq Scan'],
  ])
})

// Goal: what a statement writes is counted, also by parts that run after the root. Method: a part that is read from, and one that is not.
test('pages of writing parts that nobody reads from come on top', () => {
  const part = (name: string, pages: number) => ({
    'Node Type': 'ModifyTable',
    'Subplan Name': `CTE ${name}`,
    'Actual Rows': 0,
    'Shared Hit Blocks': pages,
  })
  const scan = { 'Node Type': 'CTE Scan', 'CTE Name': 'read', 'Actual Rows': 1 }
  const Plan = {
    'Node Type': 'Result',
    'Actual Rows': 1,
    'Shared Hit Blocks': 10,
    Plans: [part('read', 4), part('unread', 7), scan],
  }
  const json = JSON.stringify({ 'Query Text': 'with …', Plan }, null, 2)
  const [seen] = parsePlans(`LOG:  duration: 1 ms  plan:\n\t${json.replaceAll('\n', '\n\t')}\n`)
  expect(seen).toMatchObject({ pages: 10, pagesInAll: 17 })
})

test('a plan is told as EXPLAIN tells it', () => {
  const [seen] = parsePlans(entry('select 1', 2, 3))
  expect(seen === undefined ? '' : describePlan(seen)).toBe(
    'Limit  (rows 1, pages 5)\n  Seq Scan on tasks  (rows 3, pages 0)',
  )
})

test('a plan that is only half written is left alone', () => {
  expect(parsePlans(entry('select 1', 1, 1).slice(0, -20))).toEqual([])
})
