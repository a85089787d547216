import { describe, expect, test } from 'vitest'
import { auditKind, describeFinding } from './support/repository.ts'
import type { Files } from './support/repository.ts'

interface Row {
  readonly name: string
  readonly files: Files
  /** As `describeFinding` writes them. */
  readonly found: readonly string[]
}

const python = (name: string, code: string, ...found: string[]): Row => ({
  name,
  files: { 'app/main.py': code },
  found,
})
const script = (name: string, code: string, ...found: string[]): Row => ({
  name,
  files: { 'src/main.ts': code },
  found,
})

const ROWS: readonly Row[] = [
  python(
    'except Exception: pass',
    `
    async def sweep():
        while True:
            try:
                await registry.sweep()
            except Exception:
                pass
    `,
    'swallowed-exception P0 high app/main.py:5-6',
  ),
  python(
    'bare except with pass',
    'try:\n    work()\nexcept:\n    pass\n',
    'swallowed-exception P0 high app/main.py:3-4',
  ),
  python(
    'except BaseException as error: ...',
    'try:\n    work()\nexcept BaseException as error:\n    ...\n',
    'swallowed-exception P0 high app/main.py:3-4',
  ),
  python(
    'except Exception: continue, on one line',
    'for x in y:\n    try:\n        work()\n    except Exception: continue\n',
    'swallowed-exception P0 high app/main.py:4',
  ),
  python(
    'Exception in a tuple',
    'try:\n    work()\nexcept (ValueError, Exception):\n    pass\n',
    'swallowed-exception P0 high app/main.py:3-4',
  ),
  python(
    'a comment does not handle anything',
    'try:\n    work()\nexcept Exception:\n    # never mind\n    pass\n',
    'swallowed-exception P0 high app/main.py:3-5',
  ),
  python(
    'only the broad one of several handlers',
    'try:\n    work()\nexcept KeyError:\n    pass\nexcept Exception:\n    pass\n',
    'swallowed-exception P0 high app/main.py:5-6',
  ),
  python(
    'best-effort clean-up weighs less',
    'try:\n    await client.aclose()\nexcept Exception:\n    pass\n',
    'swallowed-exception P1 medium app/main.py:3-4',
  ),
  python(
    'bare except that neither logs nor raises',
    'try:\n    work()\nexcept:\n    state = "broken"\n',
    'unlogged-bare-except P1 medium app/main.py:3-4',
  ),
  python(
    'broad except with a constant',
    'def f():\n    try:\n        return work()\n    except Exception:\n        return None\n',
    'silent-fallback P2 low app/main.py:4-5',
  ),
  python(
    'a dropped database error',
    'try:\n    session.commit()\nexcept SQLAlchemyError:\n    pass\n',
    'swallowed-dependency-failure P1 medium app/main.py:3-4',
  ),
  python(
    'contextlib.suppress(Exception)',
    'import contextlib\nwith contextlib.suppress(Exception):\n    publish(event)\n',
    'suppressed-exception P0 high app/main.py:2',
  ),
  python(
    'a dropped task',
    'import asyncio\nasync def start():\n    asyncio.create_task(sweep())\n',
    'fire-and-forget-task P1 high app/main.py:3',
  ),
  python(
    'a task of the running loop, assigned to _',
    'async def start():\n    _ = asyncio.get_running_loop().create_task(sweep())\n',
    'fire-and-forget-task P1 high app/main.py:2',
  ),
  python('ensure_future', 'asyncio.ensure_future(sweep())\n', 'fire-and-forget-task P1 high app/main.py:1'),

  python('KeyError: pass is idiomatic', 'try:\n    del cache[key]\nexcept KeyError:\n    pass\n'),
  python('CancelledError: pass', 'try:\n    await task\nexcept asyncio.CancelledError:\n    pass\n'),
  python('an optional import', 'try:\n    import uvloop\nexcept ImportError:\n    uvloop = None\n'),
  python('an optional import with a broad except', 'try:\n    import uvloop\nexcept Exception:\n    pass\n'),
  python('JSONDecodeError: pass', 'try:\n    data = json.loads(text)\nexcept json.JSONDecodeError:\n    pass\n'),
  python('logged', 'try:\n    work()\nexcept Exception:\n    logger.exception("sweep failed")\n'),
  python('raised again', 'try:\n    work()\nexcept Exception as error:\n    raise AppError("x") from error\n'),
  python('bare except that raises again', 'try:\n    work()\nexcept:\n    rollback()\n    raise\n'),
  python('the exception is used', 'try:\n    work()\nexcept Exception as error:\n    failures.append(error)\n'),
  python('suppress of one exception', 'with contextlib.suppress(FileNotFoundError):\n    os.remove(path)\n'),
  python('a task that is kept', 'task = asyncio.create_task(sweep())\ntasks.add(task)\n'),
  python('a task with a callback', 'asyncio.create_task(sweep()).add_done_callback(log_failure)\n'),
  python('a task of a group', 'async with asyncio.TaskGroup() as tg:\n    tg.create_task(sweep())\n'),
  python('text that looks like code', 'HELP = """\ntry:\n    x()\nexcept Exception:\n    pass\n"""\n'),
  {
    name: 'tests may swallow',
    files: { 'tests/test_main.py': 'try:\n    work()\nexcept Exception:\n    pass\n' },
    found: [],
  },
  {
    name: 'in a script it weighs less',
    files: { 'scripts/load.py': 'try:\n    work()\nexcept Exception:\n    pass\n' },
    found: ['swallowed-exception P1 high scripts/load.py:3-4'],
  },

  script('an empty catch', 'try {\n  await beat()\n} catch {}\n', 'empty-catch P0 high src/main.ts:3'),
  script(
    'an empty catch over lines',
    'try {\n  await beat()\n} catch (error) {\n}\n',
    'empty-catch P0 high src/main.ts:3-4',
  ),
  script(
    'a catch with a comment',
    'try {\n  await beat()\n} catch (error) {\n  // best effort\n}\n',
    'empty-catch P0 medium src/main.ts:3-5',
  ),
  script('closing weighs less', 'try {\n  await pool.close()\n} catch {}\n', 'empty-catch P1 medium src/main.ts:3'),
  script('a probe weighs little', 'try {\n  accessSync(path)\n} catch {}\n', 'empty-catch P2 low src/main.ts:3'),
  script(
    'a probe and more is no probe',
    'try {\n  accessSync(path)\n  await remove(path)\n} catch {}\n',
    'empty-catch P0 high src/main.ts:4',
  ),
  script(
    'a catch that skips',
    'for (const x of y) {\n  try {\n    await send(x)\n  } catch { continue }\n}\n',
    'silent-fallback P2 low src/main.ts:4',
  ),
  script('.catch(() => {})', 'await beat().catch(() => {})\n', 'swallowed-rejection P0 high src/main.ts:1'),
  script(
    '.catch with an empty function',
    'beat().catch(function (e) { })\n',
    'swallowed-rejection P0 high src/main.ts:1',
  ),
  script(
    '.catch(() => undefined)',
    'await beat().catch(() => undefined)\n',
    'swallowed-rejection P0 medium src/main.ts:1',
  ),
  script(
    '.catch(() => null)',
    'const x = await beat().catch(() => null)\n',
    'swallowed-rejection P0 medium src/main.ts:1',
  ),
  script('.catch(noop)', 'beat().catch(noop)\n', 'swallowed-rejection P0 high src/main.ts:1'),
  script(
    '.catch at the end of a chain',
    'void fetch(url)\n  .then((r) => r.json())\n  .catch(() => {})\n',
    'swallowed-rejection P0 high src/main.ts:3',
  ),
  script('.then(ok, () => {})', 'beat().then(use, () => {})\n', 'swallowed-rejection P0 high src/main.ts:1'),
  script('.catch of a close', 'await redis.quit().catch(() => {})\n', 'swallowed-rejection P1 medium src/main.ts:1'),
  script('.catch with a constant', 'const n = await count().catch(() => 0)\n', 'silent-fallback P2 low src/main.ts:1'),
  script('an ignored error event', "pool.on('error', () => {})\n", 'empty-error-listener P1 medium src/main.ts:1'),
  script(
    'an ignored rejection of the process',
    "process.on('unhandledRejection', () => {})\n",
    'empty-error-listener P0 high src/main.ts:1',
  ),
  script(
    'void of an async function',
    'async function start() {\n  await listen()\n}\nvoid start()\n',
    'void-promise P2 low src/main.ts:4',
  ),

  script(
    'void of something imported',
    "import { send } from './mail'\nvoid send(user)\n",
    'void-promise P2 low src/main.ts:2',
  ),
  script(
    '.catch with a comment',
    'beat().catch(() => {\n  // fine\n})\n',
    'swallowed-rejection P0 medium src/main.ts:1-3',
  ),

  script('void in an arrow', 'items.forEach((item) => void list.push(item))\nvoid list.push(1)\n'),
  script('a catch that logs', "try {\n  await beat()\n} catch (error) {\n  log.error({ error }, 'beat failed')\n}\n"),
  script('a catch that rethrows', "try {\n  beat()\n} catch (cause) {\n  throw new AppError('beat', { cause })\n}\n"),
  script('a catch that handles', 'try {\n  parse()\n} catch {\n  invalid.push(line)\n}\n'),
  script(
    'a parse with a default',
    'function f(s) {\n  try {\n    return JSON.parse(s)\n  } catch {\n    return undefined\n  }\n}\n',
  ),
  script(
    'a calculation with a default',
    'function f(s) {\n  try {\n    return decode(s)\n  } catch {\n    return undefined\n  }\n}\n',
  ),
  script(
    'a promise that is asked whether it works',
    'const a = await ping().then(() => true, () => false)\nconst b = await ping().catch(() => false)\n',
  ),
  script('.catch that logs', "beat().catch((error) => log.error({ error }, 'x'))\n"),
  script('.catch with a named handler', 'beat().catch(report)\n'),
  script(
    'void of a function that guards itself',
    'async function start() {\n  try {\n    await listen()\n  } catch (e) {\n    log.error(e)\n  }\n}\nvoid start()\n',
  ),
  script('void of a promise with a catch', 'void start().catch((e) => log.error(e))\n'),
  script('void 0', 'const nothing = void 0\n'),
  script('an error listener that logs', "pool.on('error', (error) => log.error(error))\n"),
  script('code in a string', "const text = 'try { x() } catch {}'\n"),
  script('a promise method called catch of another kind', 'pokemon.catch(ball)\n'),
]

describe('error handling', () => {
  test.each(ROWS)('$name', async ({ files, found }) => {
    const { findings } = await auditKind('error-handling', files)
    expect(findings.map(describeFinding)).toEqual(found)
  })

  test('a finding says what, where, and what to do', async () => {
    const { findings } = await auditKind('error-handling', {
      'app/main.py': 'def f():\n    try:\n        work()\n    except Exception:\n        pass\n',
    })
    expect(findings).toHaveLength(1)
    expect(findings[0]).toMatchObject({ kind: 'error-handling', code: 'except Exception:\n    pass' })
    expect(findings[0]?.impact.length).toBeGreaterThan(40)
    expect(findings[0]?.recommendation).toContain('logger.exception')
  })
})
