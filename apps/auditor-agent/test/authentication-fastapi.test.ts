import { describe, expect, test } from 'vitest'
import { dedent } from './support/repository.ts'
import { AUTH_MODULE, IMPORTS, openRoutes } from './authentication-rows.ts'
import type { Row } from './authentication-rows.ts'

/** One file; its first line is the import of everything. */
const fastapi = (name: string, code: string, ...found: string[]): Row => ({
  name,
  files: { 'app/main.py': IMPORTS + dedent(code) },
  found,
})

const ROWS: readonly Row[] = [
  fastapi(
    'routes of an application',
    `
    app = FastAPI()
    @app.post("/agents/register")
    async def register_agent(body: dict):
        return body
    @app.get("/agents")
    async def list_agents():
        return []
    @app.delete("/agents/{agent_id}")
    def remove(agent_id: str): pass
    `,
    'P0 high POST /agents/register app/main.py:3',
    'P0 high DELETE /agents/{agent_id} app/main.py:9',
  ),
  fastapi(
    'a dependency that is no guard',
    'app = FastAPI()\ndef get_db(): yield 1\n@app.put("/x")\ndef x(db=Depends(get_db)): pass\n',
    'P0 high PUT /x app/main.py:4',
  ),
  fastapi(
    'a router nobody mounts',
    'router = APIRouter(prefix="/agents")\n@router.post("/heartbeat")\nasync def heartbeat(): pass\n',
    'P0 medium POST /agents/heartbeat app/main.py:3',
  ),
  fastapi(
    'api_route with methods',
    'app = FastAPI()\n@app.api_route("/x", methods=["GET", "PATCH"])\ndef x(): pass\n',
    'P0 high PATCH /x app/main.py:3',
  ),
  fastapi(
    'add_api_route',
    'app = FastAPI()\ndef create(): pass\napp.add_api_route("/x", create, methods=["POST"])\n',
    'P0 high POST /x app/main.py:4',
  ),
  fastapi(
    'an application inside of a class',
    'class BaseAgent:\n    def __init__(self):\n        self.app = FastAPI()\n        self.routes()\n    def routes(self):\n        @self.app.post("/execute")\n        async def execute(task: dict):\n            return task\n',
    'P0 high POST /execute app/main.py:7',
  ),
  fastapi(
    'a factory of an application',
    'def create_app():\n    app = FastAPI()\n    @app.post("/x")\n    def x(): pass\n    return app\n',
    'P0 high POST /x app/main.py:4',
  ),
  fastapi(
    'a WebSocket',
    'app = FastAPI()\n@app.websocket("/ws")\nasync def ws(socket):\n    await socket.accept()\n',
    'P1 medium WEBSOCKET /ws app/main.py:3',
  ),
  fastapi(
    'a webhook without a signature',
    'app = FastAPI()\n@app.post("/webhooks/stripe")\nasync def stripe(request): return 1\n',
    'P1 medium POST /webhooks/stripe app/main.py:3',
  ),
  fastapi(
    'a query',
    'app = FastAPI()\n@app.post("/documents/search")\ndef find(): pass\n',
    'P1 medium POST /documents/search app/main.py:3',
  ),
  fastapi(
    'a token that nobody seems to check',
    'app = FastAPI()\n@app.post("/x")\ndef x(x_api_key: str = Header(None)): pass\n',
    'P1 low POST /x app/main.py:3',
  ),
  fastapi(
    'middleware that guards nothing',
    'app = FastAPI()\napp.add_middleware(CORSMiddleware)\n@app.middleware("http")\nasync def timing(request, call_next):\n    return await call_next(request)\n@app.post("/x")\ndef x(): pass\n',
    'P0 high POST /x app/main.py:7',
  ),
  {
    name: 'a router that is mounted twice, once in the open',
    files: {
      'app/main.py': `${IMPORTS}from app.auth import subject\nfrom app.routers import agents\napp = FastAPI()\napp.include_router(agents.router, prefix="/v1", dependencies=[Depends(subject)])\napp.include_router(agents.router, prefix="/legacy")\n`,
      'app/auth.py': AUTH_MODULE,
      'app/routers/agents.py': `${IMPORTS}router = APIRouter()\n@router.post("/agents")\ndef create(): pass\n`,
    },
    found: ['P0 high POST /v1/agents app/routers/agents.py:3'],
  },
  {
    name: 'the prefix of the mount is part of the title',
    files: {
      'app/main.py': `${IMPORTS}from app.routers.agents import router as agents_router\napp = FastAPI()\napp.include_router(agents_router, prefix="/agents")\n`,
      'app/routers/agents.py': `${IMPORTS}router = APIRouter()\n@router.post("/register")\ndef register(): pass\n`,
    },
    found: ['P0 high POST /agents/register app/routers/agents.py:3'],
  },

  fastapi(
    'a model of a body is no guard, whatever it is called',
    'app = FastAPI()\n@app.post("/x")\ndef x(role: RoleCreate, credentials: Credentials, admin: Admin): pass\n',
    'P0 high POST /x app/main.py:3',
  ),
  fastapi(
    'nor is the name of a router',
    'app = FastAPI()\nadmin_router = APIRouter()\n@admin_router.post("/x")\ndef x(): pass\napp.include_router(admin_router)\n',
    'P0 high POST /x app/main.py:4',
  ),
  fastapi(
    'nor is a service that is handed in',
    'app = FastAPI()\n@app.post("/x")\ndef x(s=Depends(get_auth_service)): pass\n',
    'P0 high POST /x app/main.py:3',
  ),
  fastapi(
    'the same name twice',
    'app = FastAPI()\n@app.post("/a")\ndef create(): pass\n@app.post("/b")\ndef create(u=Depends(get_current_user)): pass\n',
    'P0 high POST /a app/main.py:3',
  ),
  fastapi(
    'a refresh that is no log-in',
    'app = FastAPI()\n@app.post("/cache/refresh")\ndef a(): pass\n@app.post("/auth/refresh")\ndef b(): pass\n',
    'P0 high POST /cache/refresh app/main.py:3',
  ),
  fastapi(
    'a parameter that depends on a guard',
    'app = FastAPI()\n@app.post("/x")\ndef x(user=Depends(get_current_user)): pass\n',
  ),
  fastapi(
    'an annotated parameter',
    'app = FastAPI()\n@app.post("/x")\ndef x(user: Annotated[User, Depends(require_user)]): pass\n',
  ),
  fastapi('Security', 'app = FastAPI()\n@app.post("/x")\ndef x(user=Security(whoever, scopes=["a"])): pass\n'),
  fastapi(
    'a guard of the route',
    'app = FastAPI()\n@app.post("/x", dependencies=[Depends(require_scopes(["agent:write"]))])\ndef x(): pass\n',
  ),
  fastapi(
    'a guard of the router',
    'router = APIRouter(dependencies=[Depends(require_scopes(["a"]))])\n@router.post("/x")\ndef x(): pass\n',
  ),
  fastapi(
    'a guard of the application',
    'app = FastAPI(dependencies=[Depends(verify_token)])\nrouter = APIRouter()\n@router.post("/x")\ndef x(): pass\napp.include_router(router)\n',
  ),
  fastapi(
    'a list of guards with a name',
    'PROTECTED = [Depends(verify_api_key)]\nrouter = APIRouter(dependencies=PROTECTED)\n@router.post("/x")\ndef x(): pass\n',
  ),
  fastapi(
    'a dependency that refuses, whatever it is called',
    'app = FastAPI()\ndef front_door(request):\n    if not request.headers.get("x"):\n        raise HTTPException(status_code=401)\n@app.post("/x")\ndef x(_=Depends(front_door)): pass\n',
  ),
  fastapi(
    'a class as a dependency',
    'class Door:\n    def __call__(self, request):\n        raise HTTPException(403, "no")\napp = FastAPI()\n@app.post("/x", dependencies=[Depends(Door())])\ndef x(): pass\n',
  ),
  fastapi(
    'the body refuses',
    'app = FastAPI()\n@app.post("/x")\ndef x(request):\n    if not allowed(request):\n        raise HTTPException(status_code=status.HTTP_403_FORBIDDEN)\n',
  ),
  fastapi(
    'a helper of the body refuses',
    'app = FastAPI()\ndef guard_it(request):\n    raise HTTPException(status_code=403)\n@app.post("/x")\ndef x(request):\n    guard_it(request)\n',
  ),
  fastapi(
    'middleware that refuses',
    'app = FastAPI()\n@app.middleware("http")\nasync def door(request, call_next):\n    if "x" not in request.headers:\n        return JSONResponse({}, status_code=401)\n    return await call_next(request)\n@app.post("/x")\ndef x(): pass\n',
  ),
  fastapi(
    'middleware by name',
    'app = FastAPI()\napp.add_middleware(JWTAuthMiddleware)\n@app.post("/x")\ndef x(): pass\n',
  ),
  fastapi(
    'middleware given to the application',
    'app = FastAPI(middleware=[Middleware(AuthenticationMiddleware, backend=b)])\n@app.post("/x")\ndef x(): pass\n',
  ),
  fastapi(
    'log in, token, health',
    'app = FastAPI()\n@app.post("/login")\ndef a(): pass\n@app.post("/auth/token")\ndef b(): pass\n@app.post("/health")\ndef c(): pass\n@app.post("/users/register")\ndef d(): pass\n@app.post("/password-recovery/{email}")\ndef e(): pass\n',
  ),
  fastapi(
    'a webhook with a signature',
    'app = FastAPI()\n@app.post("/webhooks/stripe")\nasync def stripe(request):\n    event = stripe.Webhook.construct_event(body, sig, key)\n',
  ),
  fastapi(
    'a WebSocket that refuses',
    'app = FastAPI()\n@app.websocket("/ws")\nasync def ws(socket, token: str):\n    if not ok(token):\n        await socket.close(code=1008)\n',
  ),
  fastapi('mock.patch is no route', 'import mock\n@mock.patch("app.x")\ndef test_x(): pass\n'),
  fastapi(
    'a guard below the application of a class',
    'class Agent:\n    def __init__(self):\n        self.app = FastAPI(dependencies=[Depends(verify_token)])\n        @self.app.post("/execute")\n        async def execute(): pass\n',
  ),
  fastapi(
    'fastapi-users',
    'current_active_user = fastapi_users.current_user(active=True)\napp = FastAPI()\n@app.post("/x")\ndef x(u=Depends(current_active_user)): pass\n',
  ),
]

describe('authentication in Python', () => {
  test.each(ROWS)('$name', async ({ files, found }) => {
    expect(await openRoutes(files)).toEqual(found)
  })
})
