"""The table of who may open what: every route by everybody, and what belongs to others is not there."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import pytest

from portal.core.database import dialect_name
from portal.core.ids import new_id
from tests.conftest import Machine
from tests.pages.conftest import House
from tests.people import PASSWORD
from tests.visitor import SeenPage, Visitor

if TYPE_CHECKING:
    from portal.web.frame import Doorward

PEOPLE = ("nobody", "alice", "tess", "theo", "tara", "max", "ada", "machine")

# Status by person. Posts carry a good CSRF token and nothing else, so that a form let through answers 422 and a button
# 200 or 302, or 409 where there is nothing to end. Max is an admin without a permission; machine shows a client's token
# with every scope on every door.
# An address names: the key, conversation and session of Alice; the user Bob where no line of OBJECTS says otherwise.
TABLE = """
GET  /                                             200 302 302 302 302 302 302 200
GET  /.well-known/jwks.json                        200 200 200 200 200 200 200 200
GET  /.well-known/oauth-authorization-server       200 200 200 200 200 200 200 200
GET  /account                                      302 200 302 302 302 302 302 302
GET  /account/activity                             302 200 200 200 200 200 200 302
GET  /account/activity/looks                       302 200 200 200 200 200 200 302
GET  /account/conversations                        302 200 403 403 403 403 403 302
GET  /account/conversations/<uuid:conversation_id> 302 200 403 403 403 403 403 302
GET  /account/conversations/keeping                302 200 403 403 403 403 403 302
POST /account/conversations/keeping                401 302 403 403 403 403 403 401
GET  /account/data                                 302 200 200 200 200 200 200 302
POST /account/archives                        401 409 403 403 403 403 403 401
GET  /account/archives/<uuid:work_id>         302 200 403 403 403 403 403 302
POST /account/archives/<uuid:work_id>/delete  401 409 403 403 403 403 403 401
GET  /account/archives/<uuid:work_id>/file    302 404 403 403 403 403 403 302
POST /account/archives/<uuid:work_id>/stop    401 302 403 403 403 403 403 401
GET  /account/data/close                           302 200 403 403 403 403 403 302
POST /account/data/close                           401 422 403 403 403 403 403 401
POST /account/data/take-back                       401 409 403 403 403 403 403 401
GET  /account/days.json                            302 200 403 403 403 403 403 302
GET  /account/email                                302 200 200 200 200 200 200 302
POST /account/email                                401 422 422 422 422 422 422 401
POST /account/email/forget                         401 302 302 302 302 302 302 401
GET  /account/exports                              302 200 403 403 200 403 200 302
GET  /account/exports/<uuid:work_id>               302 200 403 403 404 403 404 302
POST /account/exports/<uuid:work_id>/delete        401 409 403 403 404 403 404 401
GET  /account/exports/<uuid:work_id>/file          302 404 403 403 404 403 404 302
POST /account/exports/<uuid:work_id>/stop          401 302 403 403 404 403 404 401
GET  /account/exports/new                          302 200 403 403 403 403 403 302
POST /account/exports/new                          401 200 403 403 403 403 403 401
GET  /account/help                                 302 200 403 403 403 403 403 302
GET  /account/help/<number>                        302 200 403 403 403 403 403 302
POST /account/help/<number>                        401 422 403 403 403 403 403 401
GET  /account/help/new                             302 200 403 403 403 403 403 302
POST /account/help/new                             401 422 403 403 403 403 403 401
GET  /account/keys                                 302 200 403 403 403 403 403 302
GET  /account/keys/<uuid:key_id>                   302 200 403 403 403 403 403 302
POST /account/keys/<uuid:key_id>                   401 422 403 403 403 403 403 401
GET  /account/keys/<uuid:key_id>/revoke            302 200 403 403 403 403 403 302
POST /account/keys/<uuid:key_id>/revoke            401 302 403 403 403 403 403 401
GET  /account/keys/<uuid:key_id>/rotate            302 200 403 403 403 403 403 302
POST /account/keys/<uuid:key_id>/rotate            401 422 403 403 403 403 403 401
GET  /account/keys/new                             302 200 403 403 403 403 403 302
POST /account/keys/new                             401 422 403 403 403 403 403 401
GET  /account/picture                              302 200 200 200 200 200 200 302
POST /account/picture                              401 422 422 422 422 422 422 401
GET  /account/picture/<uuid:picture_id>            302 404 200 200 200 404 200 302
POST /account/picture/remove                       401 302 302 302 302 302 302 401
GET  /account/profile                              302 200 200 200 200 200 200 302
POST /account/profile                              401 302 302 302 302 302 302 401
GET  /account/prompts                              302 200 403 403 403 403 403 302
GET  /account/prompts/<uuid:prompt_id>             302 200 403 403 403 403 403 302
POST /account/prompts/<uuid:prompt_id>             401 422 403 403 403 403 403 401
POST /account/prompts/<uuid:prompt_id>/delete      401 302 403 403 403 403 403 401
GET  /account/prompts/new                          302 200 403 403 403 403 403 302
POST /account/prompts/new                          401 422 403 403 403 403 403 401
GET  /account/reauth                               302 302 302 302 302 302 302 302
POST /account/reauth                               401 302 302 302 302 302 302 401
GET  /account/providers                            302 200 200 200 200 200 200 302
POST /account/providers/<uuid:identity_id>/unlink  401 302 404 404 404 404 404 401
GET  /account/providers/confirm                    302 302 302 302 302 302 302 302
POST /account/providers/confirm                    401 302 302 302 302 302 302 401
POST /account/providers/link/<slug>                401 302 302 302 302 302 302 401
POST /account/providers/prove/<slug>               401 302 302 302 302 302 302 401
GET  /account/security                             302 200 200 200 200 200 200 302
GET  /account/security/authenticator               302 200 200 200 200 200 200 302
POST /account/security/authenticator               401 302 302 302 302 302 302 401
GET  /account/security/authenticator/confirm       302 200 200 200 200 200 200 302
POST /account/security/authenticator/confirm       401 422 422 422 422 422 422 401
POST /account/security/authenticator/remove        401 409 409 409 409 409 409 401
GET  /account/security/password                    302 200 200 200 200 200 200 302
POST /account/security/password                    401 422 422 422 422 422 422 401
GET  /account/security/passkeys                    302 200 200 200 200 200 200 302
GET  /account/security/passkeys/<uuid:passkey_id>  302 200 404 404 404 404 404 302
POST /account/security/passkeys/<uuid:passkey_id>  401 302 404 404 404 404 404 401
GET  /account/security/passkeys/<uuid:passkey_id>/remove 302 200 404 404 404 404 404 302
POST /account/security/passkeys/<uuid:passkey_id>/remove 401 302 404 404 404 404 404 401
GET  /account/security/passkeys/new                302 200 200 200 200 200 200 302
POST /account/security/passkeys/new                401 422 422 422 422 422 422 401
POST /account/security/passkeys/new/options        401 200 200 200 200 200 200 401
POST /account/security/passkeys/prove              401 302 302 302 302 302 302 401
POST /account/security/passkeys/prove/options      401 404 404 404 404 404 404 401
GET  /account/security/recovery-codes              302 200 200 200 200 200 200 302
POST /account/security/recovery-codes              401 409 409 409 409 409 409 401
POST /account/security/recovery-codes/file         401 400 400 400 400 400 400 401
GET  /account/sessions                             302 200 200 200 200 200 200 302
POST /account/sessions/end-others                   401 302 302 302 302 302 302 401
POST /account/sessions/<uuid:session_id>/end       401 302 404 404 404 404 404 401
POST /account/sessions/programs/<uuid:family_id>/end 401 302 404 404 404 404 404 401
GET  /account/usage                                302 200 403 403 403 403 403 302
GET  /account/usage/ledger                         302 200 403 403 403 403 403 302
GET  /account/usage/months.json                    302 200 403 403 403 403 403 302
GET  /account/usage/refusals                       302 200 403 403 403 403 403 302
GET  /account/usage/refusals/<uuid:decision_id>    302 200 403 403 403 403 403 302
POST /account/usage/warnings                       401 302 403 403 403 403 403 401
GET  /account/username                             302 200 200 200 200 200 200 302
POST /account/username                             401 422 422 422 422 422 422 401
GET  /admin                                        302 404 404 404 404 200 200 302
GET  /admin/acts/<uuid:user_id>/boost/end           302 404 404 404 404 403 200 302
POST /admin/acts/<uuid:user_id>/boost/end           401 404 404 404 404 403 422 401
GET  /admin/acts/<uuid:user_id>/keys/<uuid:key_id>  302 404 404 404 404 403 404 302
POST /admin/acts/<uuid:user_id>/keys/<uuid:key_id>  401 404 404 404 404 403 404 401
GET  /admin/acts/<uuid:user_id>/plan/take-back      302 404 404 404 404 403 200 302
POST /admin/acts/<uuid:user_id>/plan/take-back      401 404 404 404 404 403 422 401
GET  /admin/acts/<uuid:user_id>/reactivate          302 404 404 404 404 403 200 302
POST /admin/acts/<uuid:user_id>/reactivate          401 404 404 404 404 403 422 401
GET  /admin/acts/<uuid:user_id>/resend              302 404 404 404 404 403 200 302
POST /admin/acts/<uuid:user_id>/resend              401 404 404 404 404 403 422 401
GET  /admin/acts/<uuid:user_id>/reset-password      302 404 404 404 404 403 200 302
POST /admin/acts/<uuid:user_id>/reset-password      401 404 404 404 404 403 422 401
GET  /admin/acts/<uuid:user_id>/reset-today         302 404 404 404 404 403 200 302
POST /admin/acts/<uuid:user_id>/reset-today         401 404 404 404 404 403 422 401
GET  /admin/acts/<uuid:user_id>/unlock              302 404 404 404 404 403 200 302
POST /admin/acts/<uuid:user_id>/unlock              401 404 404 404 404 403 422 401
GET  /admin/admins                                 302 404 404 404 404 403 200 302
GET  /admin/admins/<uuid:admin_id>                 302 404 404 404 404 403 200 302
POST /admin/admins/<uuid:admin_id>                 401 404 404 404 404 403 302 401
GET  /admin/admins/new                             302 404 404 404 404 403 200 302
POST /admin/admins/new                             401 404 404 404 404 403 422 401
GET  /admin/audit                                  302 404 404 404 404 403 200 302
GET  /admin/audit/<uuid:entry_id>                  302 404 404 404 404 403 200 302
GET  /admin/audit/chain                            302 404 404 404 404 403 200 302
POST /admin/audit/check                            401 404 404 404 404 403 302 401
POST /admin/audit/export                           401 404 404 404 404 403 302 401
GET  /admin/clients                                302 404 404 404 404 403 200 302
GET  /admin/clients/<uuid:client_id>               302 404 404 404 404 403 200 302
POST /admin/clients/<uuid:client_id>               401 404 404 404 404 403 302 401
POST /admin/clients/<uuid:client_id>/disable       401 404 404 404 404 403 302 401
GET  /admin/clients/new                            302 404 404 404 404 403 200 302
POST /admin/clients/new                            401 404 404 404 404 403 422 401
GET  /admin/days.json                              302 404 404 404 404 200 200 302
GET  /admin/deleted                                302 404 404 404 404 403 200 302
GET  /admin/deleted/<uuid:user_id>/purge           302 404 404 404 404 403 200 302
POST /admin/deleted/<uuid:user_id>/purge           401 404 404 404 404 403 422 401
GET  /admin/deleted/<uuid:user_id>/restore         302 404 404 404 404 403 200 302
POST /admin/deleted/<uuid:user_id>/restore         401 404 404 404 404 403 422 401
GET  /admin/exports/<uuid:user_id>/new             302 404 404 404 404 403 200 302
POST /admin/exports/<uuid:user_id>/new             401 404 404 404 404 403 422 401
GET  /admin/factors/<uuid:account_id>              302 404 404 404 404 403 200 302
POST /admin/factors/<uuid:account_id>              401 404 404 404 404 403 422 401
GET  /admin/jobs                                   302 404 404 404 404 403 200 302
GET  /admin/jobs/<name>                            302 404 404 404 404 403 200 302
POST /admin/jobs/<name>/pause                      401 404 404 404 404 403 302 401
POST /admin/jobs/<name>/resume                     401 404 404 404 404 403 302 401
POST /admin/jobs/<name>/run                        401 404 404 404 404 403 302 401
GET  /admin/logs                                   302 404 404 404 404 403 200 302
GET  /admin/logs/<uuid:log_id>                     302 404 404 404 404 403 200 302
POST /admin/logs/<uuid:log_id>                     401 404 404 404 404 403 422 401
GET  /admin/logs/quarantine                        302 404 404 404 404 403 200 302
POST /admin/logs/quarantine/retry                  401 404 404 404 404 403 302 401
POST /admin/logs/quarantine/<uuid:record_id>/drop  401 404 404 404 404 403 302 401
POST /admin/logs/quarantine/<uuid:record_id>/retry 401 404 404 404 404 403 404 401
GET  /admin/mail                                   302 404 404 404 404 403 200 302
POST /admin/mail/<uuid:mail_id>/retry              401 404 404 404 404 403 302 401
GET  /admin/mail/letters                           302 404 404 404 404 403 200 302
GET  /admin/mail/letters/<name>                    302 404 404 404 404 403 200 302
POST /admin/mail/retry                             401 404 404 404 404 403 302 401
POST /admin/mail/test                              401 404 404 404 404 403 302 401
GET  /admin/networks                               302 404 404 404 404 403 200 302
POST /admin/networks                               401 404 404 404 404 403 422 401
POST /admin/networks/<uuid:network_id>/remove      401 404 404 404 404 403 302 401
GET  /admin/cases/<uuid:user_id>                   302 404 404 404 404 403 200 302
GET  /admin/cases/<uuid:user_id>/<number>          302 404 404 404 404 403 200 302
GET  /admin/notes                                  302 404 404 404 404 403 200 302
GET  /admin/notes/<uuid:user_id>                   302 404 404 404 404 403 200 302
POST /admin/notes/<uuid:user_id>                   401 404 404 404 404 403 422 401
POST /admin/notes/<uuid:user_id>/<uuid:note_id>/pin 401 404 404 404 404 403 302 401
POST /admin/notes/<uuid:user_id>/<uuid:note_id>/remove 401 404 404 404 404 403 302 401
GET  /admin/timeline/<uuid:user_id>                302 404 404 404 404 403 200 302
GET  /admin/plans                                  302 404 404 404 404 403 200 302
GET  /admin/plans/<uuid:plan_id>                   302 404 404 404 404 403 200 302
POST /admin/plans/<uuid:plan_id>                   401 404 404 404 404 403 422 401
POST /admin/plans/<uuid:plan_id>/delete             401 404 404 404 404 403 422 401
GET  /admin/plans/new                              302 404 404 404 404 403 200 302
POST /admin/plans/new                              401 404 404 404 404 403 422 401
GET  /admin/providers                              302 404 404 404 404 403 200 302
GET  /admin/providers/<uuid:provider_id>           302 404 404 404 404 403 200 302
POST /admin/providers/<uuid:provider_id>           401 404 404 404 404 403 422 401
POST /admin/providers/<uuid:provider_id>/delete    401 404 404 404 404 403 302 401
POST /admin/providers/<uuid:provider_id>/disable   401 404 404 404 404 403 302 401
POST /admin/providers/<uuid:provider_id>/enable    401 404 404 404 404 403 302 401
POST /admin/providers/<uuid:provider_id>/try       401 404 404 404 404 403 302 401
POST /admin/providers/given/<slug>/try             401 404 404 404 404 403 404 401
GET  /admin/providers/new                          302 404 404 404 404 403 200 302
POST /admin/providers/new                          401 404 404 404 404 403 422 401
GET  /admin/search                                 302 404 404 404 404 403 302 302
GET  /admin/search/suggestions.json                302 404 404 404 404 403 200 302
GET  /admin/sessions/<uuid:account_id>/end         302 404 404 404 404 403 200 302
POST /admin/sessions/<uuid:account_id>/end         401 404 404 404 404 403 422 401
GET  /admin/staff                                  302 404 404 404 404 403 200 302
GET  /admin/staff/<uuid:staff_id>                  302 404 404 404 404 403 200 302
POST /admin/staff/<uuid:staff_id>                  401 404 404 404 404 403 302 401
POST /admin/staff/<uuid:staff_id>/invite           401 404 404 404 404 403 200 401
POST /admin/staff/<uuid:staff_id>/reactivate       401 404 404 404 404 403 422 401
POST /admin/staff/<uuid:staff_id>/suspend          401 404 404 404 404 403 422 401
GET  /admin/staff/new                              302 404 404 404 404 403 200 302
POST /admin/staff/new                              401 404 404 404 404 403 422 401
GET  /admin/status-checks                          302 404 404 404 404 200 200 302
POST /admin/status-checks/forget                   401 404 404 404 404 403 404 401
GET  /admin/undo/<uuid:entry_id>                    302 404 404 404 404 403 200 302
POST /admin/undo/<uuid:entry_id>                    401 404 404 404 404 403 422 401
GET  /admin/usage                                  302 404 404 404 404 403 200 302
GET  /admin/usage/<uuid:user_id>                   302 404 404 404 404 403 200 302
GET  /admin/usage/<uuid:user_id>/months.json       302 404 404 404 404 403 200 302
GET  /admin/usage/<uuid:user_id>/refusals          302 404 404 404 404 403 200 302
GET  /admin/usage/<uuid:user_id>/refusals/<uuid:decision_id> 302 404 404 404 404 403 200 302
POST /admin/usage/<uuid:user_id>/leases/<uuid:lease_id>/refund 401 404 404 404 404 403 422 401
GET  /admin/usage/days.json                        302 404 404 404 404 403 200 302
GET  /admin/users                                  302 404 404 404 404 403 200 302
GET  /admin/users/<uuid:user_id>                   302 404 404 404 404 403 200 302
POST /admin/users/<uuid:user_id>/adjust             401 404 404 404 404 403 422 401
POST /admin/users/<uuid:user_id>/boost              401 404 404 404 404 403 422 401
POST /admin/users/<uuid:user_id>/credits           401 404 404 404 404 403 422 401
GET  /admin/users/<uuid:user_id>/days.json         302 404 404 404 404 403 200 302
POST /admin/users/<uuid:user_id>/delete            401 404 404 404 404 403 422 401
GET  /admin/users/<uuid:user_id>/edit              302 404 404 404 404 403 200 302
POST /admin/users/<uuid:user_id>/edit              401 404 404 404 404 403 422 401
POST /admin/users/<uuid:user_id>/invite            401 404 404 404 404 403 200 401
GET  /admin/users/<uuid:user_id>/ledger             302 404 404 404 404 403 200 302
POST /admin/users/<uuid:user_id>/plan              401 404 404 404 404 403 422 401
POST /admin/users/<uuid:user_id>/suspend           401 404 404 404 404 403 422 401
GET  /admin/users/<uuid:user_id>/record            302 404 404 404 404 403 200 302
POST /admin/users/<uuid:user_id>/record            401 404 404 404 404 403 422 401
GET  /admin/users/<uuid:user_id>/view              302 404 404 404 404 403 403 302
GET  /admin/users/<uuid:user_id>/view/<page>       302 404 404 404 404 403 403 302
GET  /admin/users/<uuid:user_id>/view/begin        302 404 404 404 404 403 200 302
POST /admin/users/<uuid:user_id>/view/begin        401 404 404 404 404 403 422 401
POST /admin/users/<uuid:user_id>/view/end          401 404 404 404 404 403 302 401
GET  /admin/users/<uuid:user_id>/view/refusals/<uuid:decision_id> 302 404 404 404 404 403 403 302
GET  /admin/users/new                              302 404 404 404 404 403 200 302
POST /admin/users/new                              401 404 404 404 404 403 422 401
GET  /api/v1/audit                                 401 401 401 401 401 401 401 200
GET  /api/v1/auth/me                                401 401 401 401 401 401 401 403
POST /api/v1/auth/register                          415 415 415 415 415 415 415 415
GET  /api/v1/me                                     401 401 401 401 401 401 401 403
PATCH /api/v1/me                                     401 401 401 401 401 401 401 403
GET  /api/v1/me/activity                            401 401 401 401 401 401 401 403
GET  /api/v1/me/credits                             401 401 401 401 401 401 401 403
GET  /api/v1/me/keys                                401 401 401 401 401 401 401 403
POST /api/v1/me/keys                                401 401 401 401 401 401 401 403
DELETE /api/v1/me/keys/<uuid:key_id>                  401 401 401 401 401 401 401 403
GET  /api/v1/me/keys/<uuid:key_id>                  401 401 401 401 401 401 401 403
PATCH /api/v1/me/keys/<uuid:key_id>                  401 401 401 401 401 401 401 403
POST /api/v1/me/keys/<uuid:key_id>/rotate           401 401 401 401 401 401 401 403
GET  /api/v1/me/message-logs                        401 401 401 401 401 401 401 403
GET  /api/v1/me/message-logs/<uuid:log_id>          401 401 401 401 401 401 401 403
GET  /api/v1/me/prompts                             401 401 401 401 401 401 401 403
POST /api/v1/me/prompts                             401 401 401 401 401 401 401 403
DELETE /api/v1/me/prompts/<uuid:prompt_id>            401 401 401 401 401 401 401 403
GET  /api/v1/me/prompts/<uuid:prompt_id>            401 401 401 401 401 401 401 403
PATCH /api/v1/me/prompts/<uuid:prompt_id>            401 401 401 401 401 401 401 403
DELETE /api/v1/me/sessions                            401 401 401 401 401 401 401 403
GET  /api/v1/me/sessions                            401 401 401 401 401 401 401 403
DELETE /api/v1/me/sessions/<uuid:session_id>          401 401 401 401 401 401 401 403
GET  /api/v1/me/usage                               401 401 401 401 401 401 401 403
GET  /api/v1/openapi.json                           200 200 200 200 200 200 200 200
GET  /api/v1/plans                                  401 401 401 401 401 401 401 200
POST /api/v1/plans                                  401 401 401 401 401 401 401 415
DELETE /api/v1/plans/<uuid:plan_id>                   401 401 401 401 401 401 401 409
GET  /api/v1/plans/<uuid:plan_id>                   401 401 401 401 401 401 401 200
PATCH /api/v1/plans/<uuid:plan_id>                   401 401 401 401 401 401 401 415
GET  /api/v1/users                                  401 401 401 401 401 401 401 200
POST /api/v1/users                                  401 401 401 401 401 401 401 415
DELETE /api/v1/users/<uuid:user_id>                   401 401 401 401 401 401 401 422
GET  /api/v1/users/<uuid:user_id>                   401 401 401 401 401 401 401 200
PATCH /api/v1/users/<uuid:user_id>                   401 401 401 401 401 401 401 415
GET  /api/v1/users/<uuid:user_id>/credits           401 401 401 401 401 401 401 200
POST /api/v1/users/<uuid:user_id>/credits           401 401 401 401 401 401 401 415
POST /api/v1/users/<uuid:user_id>/reactivate        401 401 401 401 401 401 401 409
POST /api/v1/users/<uuid:user_id>/restore           401 401 401 401 401 401 401 404
POST /api/v1/users/<uuid:user_id>/suspend           401 401 401 401 401 401 401 422
GET  /api/v1/users/<uuid:user_id>/keys               401 401 401 401 401 401 401 200
POST /api/v1/users/<uuid:user_id>/keys               401 401 401 401 401 401 401 415
DELETE /api/v1/users/<uuid:user_id>/keys/<uuid:key_id> 401 401 401 401 401 401 401 404
PATCH /api/v1/users/<uuid:user_id>/keys/<uuid:key_id> 401 401 401 401 401 401 401 415
POST /api/v1/users/<uuid:user_id>/keys/<uuid:key_id>/rotate 401 401 401 401 401 401 401 415
GET  /api/v1/users/<uuid:user_id>/usage             401 401 401 401 401 401 401 200
POST /api/v1/auth/introspect                       401 401 401 401 401 401 401 400
POST /api/v1/auth/revoke                           400 400 400 400 400 400 400 400
POST /api/v1/auth/token                            400 400 400 400 400 400 400 400
POST /api/v1/keys/leaked                           415 415 415 415 415 415 415 415
GET  /api/v1/keys/self                             401 401 401 401 401 401 401 401
POST /api/v1/keys/verify                           401 401 401 401 401 401 401 415
POST /api/v1/keys/verify-many                      401 401 401 401 401 401 401 415
GET  /api/v1/message-logs                          401 401 401 401 401 401 401 200
GET  /api/v1/message-logs/<uuid:log_id>            401 401 401 401 401 401 401 200
POST /api/v1/message-logs                          401 401 401 401 401 401 401 415
GET  /api/v1/status-checks                         401 401 401 401 401 401 401 200
POST /api/v1/status-checks                         401 401 401 401 401 401 401 415
POST /api/v1/usage/consume                         401 401 401 401 401 401 401 415
POST /api/v1/usage/leases                          401 401 401 401 401 401 401 415
POST /api/v1/usage/leases/<uuid:lease_id>/settle   401 401 401 401 401 401 401 415
POST /api/v1/usage/refund                          401 401 401 401 401 401 401 415
GET  /api/v1/users/<uuid:user_id>/prompts           401 401 401 401 401 401 401 200
POST /api/v1/users/<uuid:user_id>/prompts           401 401 401 401 401 401 401 415
DELETE /api/v1/users/<uuid:user_id>/prompts/<uuid:prompt_id> 401 401 401 401 401 401 401 404
GET  /api/v1/users/<uuid:user_id>/prompts/<uuid:prompt_id> 401 401 401 401 401 401 401 404
PATCH /api/v1/users/<uuid:user_id>/prompts/<uuid:prompt_id> 401 401 401 401 401 401 401 415
GET  /confirm                                      404 404 404 404 404 404 404 404
POST /confirm                                      404 404 404 404 404 404 404 404
GET  /confirm/<token>                              200 200 200 200 200 200 200 200
POST /confirm/<token>                              302 302 302 302 302 302 302 302
GET  /forgotten                                    200 200 200 200 200 200 200 200
POST /forgotten                                    422 422 422 422 422 422 422 422
GET  /health                                       200 200 200 200 200 200 200 200
GET  /health/live                                  200 200 200 200 200 200 200 200
GET  /health/ready                                 200 200 200 200 200 200 200 200
GET  /invitation/<token>                           200 200 200 200 200 200 200 200
POST /invitation/<token>                           422 422 422 422 422 422 422 422
GET  /keep-email/<token>                           200 200 200 200 200 200 200 200
POST /keep-email/<token>                           302 302 302 302 302 302 302 302
GET  /metrics                                      200 200 200 200 200 200 200 200
GET  /new-email/<token>                            200 200 200 200 200 200 200 200
POST /new-email/<token>                            302 302 302 302 302 302 302 302
GET  /not-me/<token>                               200 200 200 200 200 200 200 200
POST /not-me/<token>                               200 200 200 200 200 200 200 200
GET  /register                                     200 302 302 302 302 302 302 200
POST /register                                     422 302 302 302 302 302 302 422
GET  /reset/<token>                                200 200 200 200 200 200 200 200
POST /reset/<token>                                422 422 422 422 422 422 422 422
GET  /setup/<token>                                404 404 404 404 404 404 404 404
POST /setup/<token>                                404 404 404 404 404 404 404 404
GET  /sign-in                                      200 302 302 302 302 302 302 200
POST /sign-in                                      422 422 422 422 422 422 422 422
GET  /sign-in/factor                               302 302 302 302 302 302 302 302
POST /sign-in/factor                               302 302 302 302 302 302 302 302
POST /sign-in/factor/cancel                        302 302 302 302 302 302 302 302
GET  /sign-in/passkey                              200 302 302 302 302 302 302 200
POST /sign-in/passkey                              422 422 422 422 422 422 422 422
POST /sign-in/passkey/factor                       302 302 302 302 302 302 302 302
POST /sign-in/passkey/factor/options               409 409 409 409 409 409 409 409
POST /sign-in/passkey/options                      200 200 200 200 200 200 200 200
POST /sign-in/with/<slug>                          302 302 302 302 302 302 302 302
GET  /sign-in/with/<slug>/back                     302 302 302 302 302 302 302 302
GET  /staff                                        302 404 200 200 200 404 404 302
GET  /staff/acts/<uuid:user_id>/boost               302 404 403 403 302 404 404 302
POST /staff/acts/<uuid:user_id>/boost               401 404 403 403 302 404 404 401
GET  /staff/acts/<uuid:user_id>/boost/end           302 404 403 403 302 404 404 302
POST /staff/acts/<uuid:user_id>/boost/end           401 404 403 403 302 404 404 401
GET  /staff/acts/<uuid:user_id>/credits             302 404 403 403 302 404 404 302
POST /staff/acts/<uuid:user_id>/credits             401 404 403 403 302 404 404 401
GET  /staff/acts/<uuid:user_id>/end-sessions        302 404 403 302 302 404 404 302
POST /staff/acts/<uuid:user_id>/end-sessions        401 404 403 302 302 404 404 401
GET  /staff/acts/<uuid:user_id>/keys/<uuid:key_id>  302 404 403 302 302 404 404 302
POST /staff/acts/<uuid:user_id>/keys/<uuid:key_id>  401 404 403 302 302 404 404 401
GET  /staff/acts/<uuid:user_id>/plan                302 404 403 403 302 404 404 302
POST /staff/acts/<uuid:user_id>/plan                401 404 403 403 302 404 404 401
GET  /staff/acts/<uuid:user_id>/plan/take-back      302 404 403 403 302 404 404 302
POST /staff/acts/<uuid:user_id>/plan/take-back      401 404 403 403 302 404 404 401
GET  /staff/acts/<uuid:user_id>/reactivate          302 404 403 403 302 404 404 302
POST /staff/acts/<uuid:user_id>/reactivate          401 404 403 403 302 404 404 401
GET  /staff/acts/<uuid:user_id>/resend              302 404 200 200 200 404 404 302
POST /staff/acts/<uuid:user_id>/resend              401 404 422 422 422 404 404 401
GET  /staff/acts/<uuid:user_id>/reset-password      302 404 403 302 302 404 404 302
POST /staff/acts/<uuid:user_id>/reset-password      401 404 403 302 302 404 404 401
GET  /staff/acts/<uuid:user_id>/reset-today         302 404 403 302 302 404 404 302
POST /staff/acts/<uuid:user_id>/reset-today         401 404 403 302 302 404 404 401
GET  /staff/acts/<uuid:user_id>/suspend             302 404 403 403 302 404 404 302
POST /staff/acts/<uuid:user_id>/suspend             401 404 403 403 302 404 404 401
GET  /staff/acts/<uuid:user_id>/unlock              302 404 403 302 302 404 404 302
POST /staff/acts/<uuid:user_id>/unlock              401 404 403 302 302 404 404 401
GET  /staff/cases                                  302 404 200 200 200 404 404 302
GET  /staff/cases/<number>                         302 404 200 200 200 404 404 302
POST /staff/cases/<number>/answer                  401 404 422 422 422 404 404 401
POST /staff/cases/<number>/claim                   401 404 302 302 302 404 404 401
POST /staff/cases/<number>/close                   401 404 422 422 422 404 404 401
POST /staff/cases/<number>/hand                    401 404 422 422 422 404 404 401
GET  /staff/escalations                            302 404 200 200 200 404 404 302
GET  /staff/cases/new/<uuid:user_id>               302 404 200 200 200 404 404 302
POST /staff/cases/new/<uuid:user_id>               401 404 422 422 422 404 404 401
GET  /staff/deleted                                302 404 403 403 200 404 404 302
GET  /staff/deleted/<uuid:user_id>                 302 404 403 403 302 404 404 302
POST /staff/deleted/<uuid:user_id>                 401 404 403 403 302 404 404 401
GET  /staff/history                                302 404 200 200 200 404 404 302
GET  /staff/notes                                  302 404 200 200 200 404 404 302
GET  /staff/notes/<uuid:user_id>                   302 404 200 200 200 404 404 302
POST /staff/notes/<uuid:user_id>                   401 404 422 422 422 404 404 401
POST /staff/notes/<uuid:user_id>/<uuid:note_id>/pin 401 404 302 302 302 404 404 401
POST /staff/notes/<uuid:user_id>/<uuid:note_id>/remove 401 404 302 302 302 404 404 401
GET  /staff/suggestions.json                       302 404 200 200 200 404 404 302
GET  /staff/exports/<uuid:user_id>/new             302 404 403 403 302 404 404 302
POST /staff/exports/<uuid:user_id>/new             401 404 403 403 302 404 404 401
GET  /staff/reveals/<uuid:user_id>/<field>          302 404 403 302 302 404 404 302
POST /staff/reveals/<uuid:user_id>/<field>          401 404 403 302 302 404 404 401
GET  /staff/undo/<uuid:entry_id>                    302 404 403 403 302 404 404 302
POST /staff/undo/<uuid:entry_id>                    401 404 403 403 302 404 404 401
GET  /staff/users/<uuid:user_id>                   302 404 200 200 200 404 404 302
GET  /staff/users/<uuid:user_id>/days.json         302 404 200 200 200 404 404 302
GET  /staff/users/<uuid:user_id>/logs              302 404 403 200 200 404 404 302
GET  /staff/users/<uuid:user_id>/logs/<uuid:log_id> 302 404 403 403 302 404 404 302
POST /staff/users/<uuid:user_id>/logs/<uuid:log_id> 401 404 403 403 302 404 404 401
GET  /staff/users/<uuid:user_id>/months.json       302 404 200 200 200 404 404 302
GET  /staff/users/<uuid:user_id>/refusals          302 404 200 200 200 404 404 302
GET  /staff/users/<uuid:user_id>/refusals/<uuid:decision_id> 302 404 200 200 200 404 404 302
GET  /staff/users/<uuid:user_id>/timeline          302 404 200 200 200 404 404 302
GET  /staff/users/<uuid:user_id>/usage             302 404 200 200 200 404 404 302
GET  /staff/users/<uuid:user_id>/record            302 404 403 403 302 404 404 302
POST /staff/users/<uuid:user_id>/record            401 404 403 403 302 404 404 401
GET  /staff/users/<uuid:user_id>/view              302 404 403 302 302 404 404 302
GET  /staff/users/<uuid:user_id>/view/<page>       302 404 403 302 302 404 404 302
GET  /staff/users/<uuid:user_id>/view/begin        302 404 403 302 302 404 404 302
POST /staff/users/<uuid:user_id>/view/begin        401 404 403 302 302 404 404 401
POST /staff/users/<uuid:user_id>/view/end          401 404 403 302 302 404 404 401
GET  /staff/users/<uuid:user_id>/view/refusals/<uuid:decision_id> 302 404 403 302 302 404 404 302
GET  /static/<path:filename>                       200 200 200 200 200 200 200 200
GET  /status                                       200 200 200 200 200 200 200 200
GET  /api/docs                                     200 200 200 200 200 200 200 200
GET  /api/docs/changes                             200 200 200 200 200 200 200 200
GET  /api/docs/errors                              200 200 200 200 200 200 200 200
GET  /api/v1/openapi.json                          200 200 200 200 200 200 200 200
POST /theme                                        302 302 302 302 302 302 302 302
POST /sign-out                                     302 302 302 302 302 302 302 302
"""

KEY = "alice's key"
OBJECTS = {
    "key_id": KEY,
    "conversation_id": "alice's conversation",
    "session_id": "alice's session",
    "family_id": "alice's family",
    "passkey_id": "alice's passkey",
    "work_id": "alice's export",
    "prompt_id": "alice's prompt",
    "number": "alice's case",
    "/admin/cases/<uuid:user_id>/<number> user_id": "alice",
    "picture_id": "bob's picture",
    "/account/archives/<uuid:work_id>": "alice's archive",
    "/account/archives/<uuid:work_id>/delete": "alice's archive",
    "/account/archives/<uuid:work_id>/file": "alice's archive",
    "/account/archives/<uuid:work_id>/stop": "alice's archive",
    "user_id": "bob",
    "field": "field",
    "entry_id": "suspension",
    "network_id": "network",
    "decision_id": "bob's refusal",
    "lease_id": "bob's refusal",
    "log_id": "bob's log",
    "record_id": "set aside",
    "note_id": "bob's note",
    "/account/usage/refusals/<uuid:decision_id>": "alice's refusal",
    "staff_id": "tim",
    "account_id": "bob",
    "admin_id": "max",
    "client_id": "client",
    "plan_id": "plan",
    "mail_id": "mail",
    "/admin/mail/letters/<name>": "letter",
    "provider_id": "provider",
    "identity_id": "alice's identity",
    "slug": "slug",
    "/admin/providers/<uuid:provider_id>/delete": "other provider",
    "name": "job",
    "page": "page",
    "filename": "file",
    "/admin/users/<uuid:user_id>/invite": "ivy",
    "/admin/deleted/<uuid:user_id>/purge": "dora",
    "/admin/deleted/<uuid:user_id>/restore": "dora",
    "/staff/deleted/<uuid:user_id>": "dora",
    "/admin/staff/<uuid:staff_id>/reactivate": "tom",
    "/admin/staff/<uuid:staff_id>/invite": "ted",
    "/confirm/<token>": "confirm",
    "/new-email/<token>": "new_email",
    "/keep-email/<token>": "keep_email",
    "/reset/<token>": "reset",
    "/not-me/<token>": "not_me",
    "/invitation/<token>": "invitation",
    "/setup/<token>": "setup",
}
LEAVING = ("POST", "/sign-out")
ENDING = ("POST", "/account/sessions/end-others")
TOKENS: WeakKeyDictionary[Visitor, str] = WeakKeyDictionary()


@cache
def table() -> dict[tuple[str, str], dict[str, int]]:
    """TABLE as {(method, route): {person: status}}."""
    rows = [line.split() for line in TABLE.strip().splitlines()]
    return {(row[0], row[1]): dict(zip(PEOPLE, map(int, row[2:]), strict=True)) for row in rows}


def routes_of(app: Doorward) -> list[tuple[str, str]]:
    """Every (method, route) of the url map; what ends all that others are about comes last, and signing out."""
    found = [
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]
    return sorted(found, key=lambda one: (one == LEAVING, one == ENDING, one[1], one[0]))


def address_of(route: str, house: House) -> str:
    """The route with the object it is about."""

    def fill(found: re.Match[str]) -> str:
        name = OBJECTS.get(f"{route} {found[1]}") or OBJECTS.get(route) or OBJECTS[found[1]]
        return str(house.get(name, "nonsense"))

    return re.sub(r"<(?:\w+:)?(\w+)>", fill, route)


def token_of(visitor: Visitor) -> str:
    """A CSRF token of the visitor's session, from a form of a page; looked up once, for it stays good."""
    if visitor not in TOKENS:
        TOKENS[visitor] = _fresh_token(visitor)
    return TOKENS[visitor]


def _fresh_token(visitor: Visitor) -> str:
    for field in visitor.get("/forgotten").tree.iter("input"):
        if field.get("name") == "csrf_token":
            return field.get("value") or ""
    raise AssertionError("no form on the page")


def ask(visitor: Visitor, method: str, address: str) -> SeenPage:
    """Ask for an address, with the token where something is sent."""
    if method == "POST":
        answer = visitor.post(address, {"csrf_token": token_of(visitor)})
        if answer.status == 400:  # the session began anew meanwhile, and its token with it
            TOKENS.pop(visitor)
            answer = visitor.post(address, {"csrf_token": token_of(visitor)})
        return answer
    if method != "GET":
        return SeenPage(visitor.client.open(address, method=method), address)
    answer = visitor.get(address, follow=False)
    answer.response.close()  # a static file is open until then
    return answer


def bare_status(visitor: Visitor, method: str, address: str) -> int:
    """The same without a look at the page that is answered."""

    def send() -> int:
        data = {"csrf_token": token_of(visitor)} if method == "POST" else None
        answer = visitor.client.open(address, method=method, data=data)
        answer.close()
        return answer.status_code

    status = send()
    if status == 400 and visitor in TOKENS:
        del TOKENS[visitor]
        status = send()
    return status


def test_every_route_has_its_row(app: Doorward) -> None:
    assert set(routes_of(app)) == set(table())


@pytest.mark.parametrize("name", PEOPLE)
def test_everybody_gets_what_the_table_says(
    name: str, app: Doorward, house: House, browser: Callable[[str], Visitor], machine: Callable[..., Machine]
) -> None:
    visitor = browser("nobody" if name == "machine" else name)
    if name == "machine":
        visitor.client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {machine(name='every scope').token}"
    wrong = {}
    # The markup is looked at once: it is the same on both databases, and that takes a third of the time.
    look = (lambda *asked: ask(*asked).status) if dialect_name() == "sqlite" else bare_status
    for method, route in routes_of(app):
        status = look(visitor, method, address_of(route, house))
        if status != table().get((method, route), {}).get(name):
            wrong[method, route] = status
    assert wrong == {}


def test_whoever_is_not_signed_in_is_led_to_the_door_and_back(house: House, browser: Callable[[str], Visitor]) -> None:
    for address in ("/account/keys", "/account/profile", f"/account/keys/{house[KEY]}/revoke"):
        visitor = browser("nobody")
        door = visitor.get(address)
        assert door.path == "/sign-in"
        assert visitor.send(door, {"name": "alice", "password": PASSWORD}).path == address


PRIVATE = [
    ("GET", "/account/keys/{}", "bob's key"),
    ("POST", "/account/keys/{}", "bob's key"),
    ("GET", "/account/keys/{}/revoke", "bob's key"),
    ("POST", "/account/keys/{}/revoke", "bob's key"),
    ("GET", "/account/keys/{}/rotate", "bob's key"),
    ("POST", "/account/keys/{}/rotate", "bob's key"),
    ("GET", "/account/conversations/{}", "bob's conversation"),
    ("POST", "/account/sessions/{}/end", "bob's session"),
    ("POST", "/account/sessions/programs/{}/end", "bob's family"),
    ("GET", "/account/security/passkeys/{}", "bob's passkey"),
    ("POST", "/account/security/passkeys/{}", "bob's passkey"),
    ("GET", "/account/security/passkeys/{}/remove", "bob's passkey"),
    ("POST", "/account/security/passkeys/{}/remove", "bob's passkey"),
    ("GET", "/account/usage/refusals/{}", "bob's refusal"),
    ("GET", "/account/prompts/{}", "bob's prompt"),
    ("POST", "/account/prompts/{}", "bob's prompt"),
    ("POST", "/account/prompts/{}/delete", "bob's prompt"),
    ("GET", "/account/picture/{}", "bob's picture"),
    ("GET", "/account/help/{}", "bob's case"),
    ("POST", "/account/help/{}", "bob's case"),
    ("GET", "/account/archives/{}", "bob's archive"),
    ("POST", "/account/archives/{}/stop", "bob's archive"),
    ("POST", "/account/archives/{}/delete", "bob's archive"),
    ("GET", "/account/exports/{}", "bob's export"),
    ("POST", "/account/exports/{}/stop", "bob's export"),
    ("POST", "/account/exports/{}/delete", "bob's export"),
]


def test_what_belongs_to_another_is_not_there(house: House, browser: Callable[[str], Visitor]) -> None:
    alice = browser("alice")
    for method, address, thing in PRIVATE:
        others, nothing = (ask(alice, method, address.format(which)) for which in (house[thing], new_id()))
        assert others.status == nothing.status == 404, address
        assert others.bare == nothing.bare, address
        own = house[thing.replace("bob", "alice")]
        assert ask(alice, method, address.format(own)).status != 404, address


USERS_ONLY = ["/admin/users/{}", "/admin/users/{}/days.json", "/admin/users/{}/edit", "/admin/usage/{}"]
ACTS_ON_USERS = [
    "suspend", "reactivate", "reset", "invite", "plan", "plan/take-back", "boost", "boost/end", "credits", "adjust",
    "delete",
]  # fmt: skip


def test_a_log_is_reached_only_through_whose_it_is(house: House, browser: Callable[[str], Visitor]) -> None:
    tara = browser("tara")
    for user, log in (("alice", house["bob's log"]), ("bob", new_id()), ("tim", house["bob's log"])):
        page = ask(tara, "GET", f"/staff/users/{house[user]}/logs/{log}")
        assert page.status == 404, user
        assert ask(tara, "POST", f"/staff/users/{house[user]}/logs/{log}").status == 404
        assert "want" not in page.text
    assert ask(tara, "GET", f"/staff/users/{house['tim']}/logs").status == 404


def test_the_users_pages_do_not_reach_staff_or_admins(house: House, browser: Callable[[str], Visitor]) -> None:
    ada = browser("ada")
    for name in ("tim", "ted", "tom", "max"):
        gets = {address: ada.get(address.format(house[name])).status for address in USERS_ONLY}
        posts = {act: ask(ada, "POST", f"/admin/users/{house[name]}/{act}").status for act in ACTS_ON_USERS}
        assert set(gets.values()) == {404}, (name, gets)
        assert set(posts.values()) == {404}, (name, posts)
