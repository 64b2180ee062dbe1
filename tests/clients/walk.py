"""The README's walk with the client that openapi-python-client generates. Usage: walk.py URL"""

import sys
import time
from uuid import UUID

import httpx
from daybook_client import AuthenticatedClient
from daybook_client.api.accounts import create_account, deposit_money, get_account, get_statement, withdraw_money
from daybook_client.api.transactions import get_transaction, initiate_transaction
from daybook_client.models import (
    AccountView,
    Changed,
    CreateAccountBody,
    CreateAccountBodyCurrency,
    MoneyBody,
    PageOfStatementEntryView,
    TransactionBody,
    TransactionView,
    TransactionViewStatus,
    WithdrawMoneyProblem422,
    WithdrawMoneyProblem422Type,
)

url = sys.argv[1]


def client_of(user: str) -> AuthenticatedClient:
    token = httpx.get(f"{url}/_local/tokens/{user}").text.strip()
    return AuthenticatedClient(url, token, raise_on_unexpected_status=True)


alice, bob = client_of("alice"), client_of("bob")
euros = CreateAccountBody(CreateAccountBodyCurrency.EUR)

opened = create_account.sync(client=alice, body=euros, idempotency_key="python-euros")
assert isinstance(opened, Changed) and opened.version == 1, opened
account = opened.id

salary = MoneyBody("1250.00", "EUR", "Salary")
for _ in range(2):
    deposited = deposit_money.sync(account, client=alice, body=salary, idempotency_key="salary")
    assert deposited == Changed(account, 2), deposited

cash = MoneyBody("50.50", "EUR", "Cash")
withdrawn = withdraw_money.sync(account, client=alice, body=cash, idempotency_key="cash")
assert withdrawn == Changed(account, 3), withdrawn

refused = withdraw_money.sync(account, client=alice, body=MoneyBody("5000", "EUR"))
assert isinstance(refused, WithdrawMoneyProblem422), refused
assert refused.type_ is WithdrawMoneyProblem422Type.INSUFFICIENT_FUNDS, refused
assert refused.available == "1199.50", refused

state = get_account.sync(account, client=alice, min_version=3)
assert isinstance(state, AccountView) and (state.balance, state.version) == ("1199.50", 3), state

page = get_statement.sync(account, client=alice, min_version=3)
assert isinstance(page, PageOfStatementEntryView), page
assert [(entry.version, entry.amount) for entry in page.items] == [(3, "-50.50"), (2, "1250.00")], page

bobs = create_account.sync(client=bob, body=euros, idempotency_key="python-euros")
assert isinstance(bobs, Changed), bobs
rent = TransactionBody("800.00", "EUR", account, bobs.id, "Rent")
begun = initiate_transaction.sync(client=alice, body=rent, idempotency_key="python-rent")
assert isinstance(begun, Changed), begun


def ended(transaction: UUID) -> TransactionView:
    for _ in range(200):
        # The read model may not have the transaction yet: a 404 or 409 is a problem, not a view.
        view = get_transaction.sync(transaction, client=alice)
        if isinstance(view, TransactionView) and view.status is not TransactionViewStatus.INITIATED:
            return view
        time.sleep(0.05)
    raise AssertionError("The transaction does not end.")


assert ended(begun.id).status is TransactionViewStatus.COMPLETED
paid = get_account.sync(bobs.id, client=bob, min_version=2)
assert isinstance(paid, AccountView) and paid.balance == "800.00", paid
print("The walk of the Python client is done.")
