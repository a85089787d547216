import { describe, expect, test } from 'vitest'
import { auditKind } from './support/repository.ts'
import { AUTH_MODULE, IMPORTS, openRoutes } from './authentication-rows.ts'
import type { Row } from './authentication-rows.ts'

const ROWS: readonly Row[] = [
  {
    name: 'an alias of a dependency in another file',
    files: {
      'app/auth.py': AUTH_MODULE,
      'app/main.py': `${IMPORTS}from app.auth import Caller\napp = FastAPI()\n@app.post("/x")\ndef x(caller: Caller): pass\n`,
    },
    found: [],
  },
  {
    name: 'a factory of dependencies in another file',
    files: {
      'app/auth.py': AUTH_MODULE,
      'app/main.py': `${IMPORTS}from app import auth\napp = FastAPI()\n@app.post("/x", dependencies=[Depends(auth.needs("a"))])\ndef x(): pass\n`,
    },
    found: [],
  },
  {
    name: 'a guard where the router is mounted, two floors up, through a package',
    files: {
      'app/auth.py': AUTH_MODULE,
      'app/main.py': `${IMPORTS}from app.api import api_router\nfrom app.auth import subject\napp = FastAPI()\napp.include_router(api_router, prefix="/api", dependencies=[Depends(subject)])\n`,
      'app/api/__init__.py': 'from .router import api_router\n',
      'app/api/router.py':
        'from fastapi import APIRouter\nfrom .endpoints import items, users\napi_router = APIRouter()\napi_router.include_router(items.router)\napi_router.include_router(users.router, prefix="/users")\n',
      'app/api/endpoints/__init__.py': '',
      'app/api/endpoints/items.py': `${IMPORTS}router = APIRouter()\n@router.post("/items")\ndef create(): pass\n`,
      'app/api/endpoints/users.py': `${IMPORTS}router = APIRouter()\n@router.delete("/{id}")\ndef drop(): pass\n`,
    },
    found: [],
  },
  {
    name: 'routers mounted in a loop',
    files: {
      'app/main.py': `${IMPORTS}from app import a, b\napp = FastAPI()\nfor router in (a.router, b.router):\n    app.include_router(router, dependencies=[Depends(get_current_user)])\n`,
      'app/a.py': `${IMPORTS}router = APIRouter()\n@router.post("/a")\ndef create(): pass\n`,
      'app/b.py': `${IMPORTS}router = APIRouter()\n@router.post("/b")\ndef create(): pass\n`,
    },
    found: [],
  },
  {
    name: 'a factory of a router, and a function that is given the application',
    files: {
      'app/main.py': `${IMPORTS}from app.routes import build, attach\napp = FastAPI(dependencies=[Depends(get_current_user)])\napp.include_router(build(service))\nattach(app)\n`,
      'app/routes.py': `${IMPORTS}def build(service):\n    router = APIRouter()\n    @router.post("/a")\n    def create(): pass\n    return router\ndef attach(app):\n    @app.post("/b")\n    def create(): pass\n`,
    },
    found: [],
  },
  {
    name: 'tests',
    files: { 'tests/test_x.py': `${IMPORTS}app = FastAPI()\n@app.post("/x")\ndef x(): pass\n` },
    found: [],
  },

  {
    name: 'Flask',
    files: {
      'app.py':
        'from flask import Flask\napp = Flask(__name__)\n@app.route("/x", methods=["POST"])\ndef x(): pass\n@app.route("/y")\ndef y(): pass\n',
    },
    found: ['P0 high POST /x app.py:3'],
  },
  {
    name: 'a blueprint of Flask',
    files: {
      'app.py':
        'from flask import Flask\nfrom views import bp\napp = Flask(__name__)\napp.register_blueprint(bp, url_prefix="/api")\n',
      'views.py': 'from flask import Blueprint\nbp = Blueprint("x", __name__)\n@bp.delete("/x")\ndef x(): pass\n',
    },
    found: ['P0 high DELETE /api/x views.py:3'],
  },
  {
    name: 'a class of Flask',
    files: { 'app.py': 'from flask.views import MethodView\nclass Items(MethodView):\n    def post(self): pass\n' },
    found: ['P0 medium POST Items app.py:2'],
  },
  {
    name: 'login_required',
    files: {
      'app.py':
        'from flask import Flask\napp = Flask(__name__)\n@app.post("/x")\n@login_required\ndef x(): pass\n@app.post("/y")\n@jwt_required()\ndef y(): pass\n@app.post("/z")\n@auth.login_required\ndef z(): pass\n',
    },
    found: [],
  },
  {
    name: 'a decorator of its own that refuses',
    files: {
      'app.py':
        'from flask import Flask, abort\napp = Flask(__name__)\ndef door(f):\n    def inner(*a):\n        if not ok():\n            abort(401)\n        return f(*a)\n    return inner\n@app.post("/x")\n@door\ndef x(): pass\n',
    },
    found: [],
  },
  {
    name: 'before_request of a blueprint',
    files: {
      'views.py':
        'from flask import Blueprint, abort\nbp = Blueprint("x", __name__)\n@bp.before_request\ndef door():\n    abort(401)\n@bp.post("/x")\ndef x(): pass\n',
    },
    found: [],
  },
  {
    name: 'before_request of the application',
    files: {
      'app.py':
        'from flask import Flask\nfrom views import bp\napp = Flask(__name__)\napp.register_blueprint(bp)\n@app.before_request\ndef check():\n    if not current_user.is_authenticated:\n        return login_manager.unauthorized()\n',
      'views.py': 'from flask import Blueprint\nbp = Blueprint("x", __name__)\n@bp.post("/x")\ndef x(): pass\n',
    },
    found: [],
  },
  {
    name: 'an answer 401 in the body',
    files: {
      'app.py':
        'from flask import Flask\napp = Flask(__name__)\n@app.post("/x")\ndef x():\n    if not ok():\n        return {"error": "no"}, 401\n    return {}\n',
    },
    found: [],
  },
  {
    name: 'a class of Flask behind before_request',
    files: {
      'app.py':
        'from flask import Flask, abort\nfrom flask.views import MethodView\napp = Flask(__name__)\n@app.before_request\ndef door():\n    abort(401)\nclass Items(MethodView):\n    def post(self): pass\n',
    },
    found: [],
  },
  {
    name: 'a class of Flask with decorators',
    files: {
      'app.py':
        'from flask.views import MethodView\nclass Items(MethodView):\n    decorators = [login_required]\n    def post(self): pass\n',
    },
    found: [],
  },

  {
    name: 'a viewset of REST framework',
    files: {
      'api/views.py':
        'from rest_framework import viewsets\nclass ItemViewSet(viewsets.ModelViewSet):\n    queryset = Item.objects.all()\n',
    },
    found: ['P0 high POST ItemViewSet api/views.py:2'],
  },
  {
    name: 'api_view',
    files: {
      'api/views.py':
        'from rest_framework.decorators import api_view\n@api_view(["GET", "POST"])\ndef items(request):\n    return Response()\n',
    },
    found: ['P0 high POST items api/views.py:2'],
  },
  {
    name: 'a view of Django with a form',
    files: {
      'shop/views.py':
        'from django.shortcuts import render\ndef order(request):\n    if request.method == "POST":\n        save()\n',
    },
    found: ['P1 low POST order shop/views.py:2'],
  },
  {
    name: 'permission_classes',
    files: {
      'api/views.py':
        'from rest_framework import viewsets\nclass ItemViewSet(viewsets.ModelViewSet):\n    permission_classes = [IsAuthenticated]\n',
    },
    found: [],
  },
  {
    name: 'DEFAULT_PERMISSION_CLASSES',
    files: {
      'api/views.py': 'from rest_framework import viewsets\nclass ItemViewSet(viewsets.ModelViewSet):\n    pass\n',
      'site/settings.py':
        'REST_FRAMEWORK = {"DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"]}\n',
    },
    found: [],
  },
  {
    name: 'a default that allows anybody is none',
    files: {
      'api/views.py': 'from rest_framework import viewsets\nclass ItemViewSet(viewsets.ModelViewSet):\n    pass\n',
      'site/settings.py': 'REST_FRAMEWORK = {"DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"]}\n',
    },
    found: ['P0 high POST ItemViewSet api/views.py:2'],
  },
  {
    name: 'a read-only viewset',
    files: {
      'api/views.py':
        'from rest_framework import viewsets\nclass ItemViewSet(viewsets.ReadOnlyModelViewSet):\n    pass\n',
    },
    found: [],
  },
  {
    name: 'mixins and decorators of Django',
    files: {
      'shop/views.py':
        'from django.views.generic import CreateView, DeleteView\nclass A(LoginRequiredMixin, CreateView): pass\n@method_decorator(login_required, name="dispatch")\nclass B(DeleteView): pass\n@login_required\ndef order(request):\n    if request.method == "POST":\n        save()\n',
    },
    found: [],
  },
  {
    name: 'urls that wrap a view',
    files: {
      'shop/views.py': 'from django.views.generic import CreateView\nclass NewOrder(CreateView): pass\n',
      'shop/urls.py':
        'from django.urls import path\nurlpatterns = [path("x/", login_required(views.NewOrder.as_view()))]\n',
    },
    found: [],
  },
  {
    name: 'a base class that guards',
    files: {
      'shop/views.py':
        'from django.views.generic import CreateView\nfrom shop.base import Member\nclass NewOrder(Member, CreateView): pass\n',
      'shop/base.py':
        'from django.contrib.auth.mixins import LoginRequiredMixin\nclass Member(LoginRequiredMixin):\n    pass\n',
    },
    found: [],
  },
]

describe('authentication in Python', () => {
  test.each(ROWS)('$name', async ({ files, found }) => {
    expect(await openRoutes(files)).toEqual(found)
  })

  test('a finding shows the decorator and the signature', async () => {
    const code = `${IMPORTS}app = FastAPI()\n@app.post("/x")\nasync def create(\n    body: dict,\n):\n    return body\n`
    const { findings } = await auditKind('authentication', { 'app/main.py': code })
    expect(findings[0]).toMatchObject({
      rule: 'endpoint-without-authentication',
      line: 3,
      endLine: 6,
      code: '@app.post("/x")\nasync def create(\n    body: dict,\n):',
    })
  })
})
