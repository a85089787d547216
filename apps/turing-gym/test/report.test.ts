import { createHash } from 'node:crypto'
import { runInNewContext } from 'node:vm'
import { DOMParser, parseHTML } from 'linkedom'
import { describe, expect, it } from 'vitest'
import { renderReport } from '../src/report/index.ts'
import type { ReportInput } from '../src/report/index.ts'
import { comparedRun, finishedRun } from './support/finished-run.ts'
import { hostile } from './support/hostile-run.ts'

const RATES = { 'fix-range': 1, 'rename-files': 0.7, 'survives-a-kill': 0.3 }
const INPUT = comparedRun(
  { rates: RATES, repetitions: 12 },
  { rates: { ...RATES, 'survives-a-kill': 1 }, repetitions: 12, seed: 5 },
)

const parse = (input: ReportInput) => parseHTML(renderReport(input, 'html').body).document

describe('the page', () => {
  it('shows verdict, reasons, figures, charts, comparison and every sample', () => {
    const document = parse(INPUT)
    const textOf = (selector: string): string => document.querySelector(selector)?.textContent ?? ''
    expect(textOf('h1')).toBe('coder-basics')
    expect(textOf('.verdict')).toBe('failed')
    expect(textOf('.reasons')).toContain('27 of 36 samples passed')
    expect([...document.querySelectorAll('.tile')]).toHaveLength(5)
    expect([...document.querySelectorAll('svg')].map((chart) => chart.getAttribute('aria-label'))).toEqual([
      'Pass rate per scenario with 95 % intervals',
      'Latency of 36 samples',
      'Chance that at least one, and that all, of k tries pass',
      'Tokens per sample',
      'Cost per sample',
    ])
    expect(textOf('#comparison')).toMatch(/survives-a-kill\s*worse/)
    expect([...document.querySelectorAll('#scenarios tbody tr')]).toHaveLength(3)
    expect([...document.querySelectorAll('#samples tbody tr')]).toHaveLength(36)
    expect(document.querySelector('#samples tbody tr')?.getAttribute('data-state')).toBe('failed')
  })

  it('draws inside of its charts: no coordinate is odd', () => {
    for (const input of [
      INPUT,
      finishedRun({ rates: { a: 1 }, repetitions: 1 }),
      finishedRun({ rates: { a: 0, b: 0 }, repetitions: 2 }),
    ]) {
      const { body } = renderReport(input, 'html')
      expect(body).not.toMatch(/NaN|Infinity|undefined/)
      for (const bar of parse(input).querySelectorAll('svg rect'))
        expect(Number(bar.getAttribute('width'))).toBeGreaterThanOrEqual(0)
    }
  })

  it('has a page for a run without a sample, and for one that failed', () => {
    const { run } = finishedRun({ rates: { a: 1 }, repetitions: 1 })
    const { verdict: _, scenarios: __, ...unfinished } = run
    const document = parse({
      run: { ...unfinished, state: 'failed', error: 'no instance became ready', reasons: [] },
      samples: [],
    })
    expect(document.querySelector('.verdict')?.textContent).toBe('failed')
    expect(document.querySelector('.reasons')?.textContent).toContain('no instance became ready')
  })

  it('has one style and one script of its own, and its policy names them and nothing else', () => {
    const { body, contentSecurityPolicy = '', contentType } = renderReport(INPUT, 'html')
    const document = parse(INPUT)
    expect(contentType).toBe('text/html; charset=utf-8')
    const inPage = document.querySelector('meta[http-equiv="Content-Security-Policy"]')?.getAttribute('content') ?? ''
    for (const policy of [contentSecurityPolicy, inPage]) {
      expect(policy).toContain("default-src 'none'")
      expect(policy).not.toContain('unsafe')
      for (const tag of ['style', 'script']) {
        const [source, ...more] = [...body.matchAll(new RegExp(`<${tag}>([^]*?)</${tag}>`, 'g'))].map(
          (match) => match[1] ?? '',
        )
        expect(more).toEqual([])
        expect(policy).toContain(
          `${tag}-src 'sha256-${createHash('sha256')
            .update(source ?? '')
            .digest('base64')}'`,
        )
      }
    }
    expect(contentSecurityPolicy).toContain('sandbox allow-scripts')
    expect(body).not.toMatch(/\s(?:style|on\w+)=|https?:|@import|url\(/)
    expect([...document.querySelectorAll('[src], [href], link, iframe, object')]).toEqual([])
  })

  it('shows what agents and suites say as text, wherever it stands', () => {
    const plain = parse(INPUT)
    const spoiled = parse(hostile(INPUT))
    for (const tag of ['script', 'style', 'img', 'svg', 'tr', 'details']) {
      expect([tag, spoiled.querySelectorAll(tag).length]).toEqual([
        tag,
        tag === 'script' || tag === 'style' ? 1 : tag === 'img' ? 0 : expect.any(Number),
      ])
    }
    expect(spoiled.querySelectorAll('#samples tbody tr').length).toBe(
      plain.querySelectorAll('#samples tbody tr').length,
    )
    expect(spoiled.querySelector('h1')?.textContent).toContain(
      '</script><script>alert(1)</script><img src=x onerror=alert(2)>"\'`]]>&lt;\u{fffd}\u{fffd}',
    )
    expect(renderReport(hostile(INPUT), 'html').body.isWellFormed()).toBe(true)
    expect(
      [...spoiled.querySelectorAll('*')]
        .flatMap((element) => [...element.attributes])
        .filter(({ name }) => name.startsWith('on')),
    ).toEqual([])
  })

  it('filters its samples by text and by state', () => {
    const document = parse(INPUT)
    const script = document.querySelector('script')?.textContent ?? ''
    runInNewContext(script, { document })
    const filter = document.querySelector('.filter')
    const [text, state] = [document.querySelector('input'), document.querySelector('select')]
    if (filter === null || text === null || state === null) throw new Error('the page has no filter')
    expect(filter.hasAttribute('hidden')).toBe(false)
    const shown = (words: string, is: string): number => {
      Object.defineProperty(text, 'value', { value: words, configurable: true })
      Object.defineProperty(state, 'value', { value: is, configurable: true })
      filter.dispatchEvent(new (document.defaultView?.Event ?? Event)('input'))
      return [...document.querySelectorAll('#samples tbody tr')].filter((row) => !row.hasAttribute('hidden')).length
    }
    const failed = INPUT.samples.filter((sample) => sample.state === 'failed').length
    expect(shown('', '')).toBe(36)
    expect(shown('', 'failed')).toBe(failed)
    expect(shown('rename-files', '')).toBe(12)
    expect(shown('rename-files OFF-BY-ONE', 'passed')).toBe(
      INPUT.samples.filter((one) => one.scenario === 'rename-files' && one.state === 'passed').length,
    )
    expect(shown('no such words', '')).toBe(0)
  })

  it('holds a thousand samples and says that there are more', () => {
    const big = finishedRun({ rates: { a: 0.9, b: 0.5 }, repetitions: 600 })
    const document = parse(big)
    expect([...document.querySelectorAll('#samples tbody tr')]).toHaveLength(1000)
    expect(document.querySelector('#samples')?.textContent).toContain('The first 1,000 of 1,200')
  })
})

describe('the other formats', () => {
  it('JSON is the run as it is', () => {
    expect(JSON.parse(renderReport(INPUT, 'json').body)).toEqual(JSON.parse(JSON.stringify(INPUT)))
  })

  it('JUnit XML has a suite per scenario and says what failed and what errored', () => {
    const { run, samples } = finishedRun({ rates: { a: 1, b: 0 }, repetitions: 3 })
    const [first, second, ...rest] = samples
    if (first === undefined || second === undefined) throw new Error('there are samples')
    const input = {
      run,
      samples: [
        { ...first, state: 'errored' as const, error: 'no sandbox' },
        { ...second, state: 'skipped' as const },
        ...rest,
      ],
    }
    const { body, contentType } = renderReport(input, 'junit')
    expect(contentType).toBe('application/xml; charset=utf-8')
    const document = new DOMParser().parseFromString(body, 'text/xml')
    const suites = [...document.querySelectorAll('testsuite')].map((suite) =>
      ['name', 'tests', 'failures', 'errors', 'skipped'].map((name) => suite.getAttribute(name)),
    )
    expect(suites).toEqual([
      ['a', '3', '0', '1', '0'],
      ['b', '3', '2', '0', '1'],
    ])
    expect(document.querySelector('error')?.getAttribute('message')).toBe('no sandbox')
    expect(document.querySelector('failure')?.getAttribute('message')).toBe('not passed: tests')
    expect(document.querySelector('failure')?.textContent).toContain('range ends before its end')
  })

  it('JUnit XML stays XML, whatever an agent says', () => {
    const { body } = renderReport(hostile(INPUT), 'junit')
    expect(body).not.toMatch(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]|<script|<img/)
    expect(body.isWellFormed()).toBe(true)
    expect(body.match(/<testcase /g)).toHaveLength(36)
    expect(body.match(/<\/testcase>/g)).toHaveLength(36)
  })
})
