import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { browserPath, openBrowser } from './support/browser.ts'
import type { Browser } from './support/browser.ts'
import { comparedRun, finishedRun } from './support/finished-run.ts'
import { hostile } from './support/hostile-run.ts'

const RATES = { 'fix-range': 1, 'rename-files': 0.7, 'survives-a-kill': 0.3 }
const INPUT = comparedRun(
  { rates: RATES, repetitions: 12 },
  { rates: { ...RATES, 'survives-a-kill': 1 }, repetitions: 12, seed: 5 },
)
const SLOW = 60_000

// Goal: the page works where people read it: its policy lets its own style and script run and nothing else, it fits the window, and what
// agents say does nothing. Method: a real browser, and the page with the headers that the gym sends.
describe('the page in a browser', { timeout: SLOW }, () => {
  let browser: Browser | undefined
  beforeAll(async () => {
    if (browserPath !== undefined) browser = await openBrowser(browserPath)
  }, SLOW)
  afterAll(async () => await browser?.close())
  beforeEach(({ skip }) => skip(browser === undefined, 'no chromium is installed on this machine'))
  const open = async (input: typeof INPUT, width = 1280) => {
    if (browser === undefined) throw new Error('no browser')
    return await browser.open(input, width)
  }

  test.for([1280, 768, 360])('has its style, draws its charts and fits %i pixels', async (width) => {
    const { page, complaints } = await open(INPUT, width)
    expect(await page.title()).toContain('coder-basics')
    const verdict = page.locator('.verdict')
    expect(await verdict.textContent()).toBe('failed')
    // A page without its style would show it as any other text.
    const painted = await page.evaluate(`getComputedStyle(document.querySelector('.verdict')).backgroundColor`)
    expect(painted).not.toBe('rgba(0, 0, 0, 0)')
    const charts = await page.locator('svg').all()
    expect(charts).toHaveLength(5)
    for (const chart of charts) {
      const box = await chart.boundingBox()
      expect(box?.width).toBeGreaterThan(100)
      expect(box?.height).toBeGreaterThan(40)
    }
    // A chart that needs more room is scrolled in its card, and the page never sideways.
    for (const card of await page.locator('.card, .tile').all()) {
      const box = await card.boundingBox()
      expect((box?.x ?? 0) + (box?.width ?? 0)).toBeLessThanOrEqual(width)
    }
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width)
    expect(complaints).toEqual([])
  })

  test('filters its samples as they are typed and chosen', async () => {
    const { page, complaints } = await open(INPUT)
    const shown = page.locator('#samples tbody tr:visible')
    const passed = INPUT.samples.filter((one) => one.scenario === 'rename-files' && one.state === 'passed').length
    expect(await page.locator('.filter').isVisible()).toBe(true)
    expect(await shown.count()).toBe(36)
    await page.locator('.filter input').fill('RENAME-files')
    expect(await shown.count()).toBe(12)
    await page.locator('.filter select').selectOption('passed')
    expect(await shown.count()).toBe(passed)
    expect(await page.locator('.filter output').textContent()).toBe(`${passed} of 36 samples`)
    await page.locator('.filter input').press('Enter')
    expect(await shown.count()).toBe(passed)
    await page.locator('.filter input').fill('no such words')
    expect(await shown.count()).toBe(0)
    expect(complaints).toEqual([])
  })

  test('shows what agents and suites say, and runs none of it', async () => {
    const { page, complaints } = await open(hostile(INPUT))
    expect(await page.locator('h1').textContent()).toContain('<script>alert(1)</script>')
    expect(await page.locator('img').count()).toBe(0)
    expect(await page.locator('#samples tbody tr:visible').count()).toBe(36)
    expect(complaints).toEqual([])
  })

  test('lets no script run that was slipped in, by its policy', async () => {
    const { page, complaints } = await open(finishedRun({ rates: { a: 1 }, repetitions: 1 }))
    await page.evaluate(`{
      const script = document.createElement('script')
      script.textContent = 'alert(1)'
      document.body.append(script)
      document.body.insertAdjacentHTML('beforeend', '<img src=/x onerror=alert(2)>')
    }`)
    const refused = (what: string) => (): boolean =>
      complaints.some((one) => one.includes('Content Security Policy') && one.includes(what))
    await expect.poll(refused('script-src')).toBe(true)
    await expect.poll(refused('img-src')).toBe(true)
    expect(complaints.filter((one) => one.startsWith('dialog') || one.startsWith('request'))).toEqual([])
  })
})
