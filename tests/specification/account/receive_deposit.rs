use aggregate::UserId;
use domain::{AccountCommand, AccountEvent, Amount, Currency, Refusal, Rejection};
use tests::{check, deposited, eur, opened, owner};

fn receive(owner: UserId, amount: Amount) -> AccountCommand {
    AccountCommand::ReceiveDeposit { owner, amount, description: None }
}

#[test]
fn what_another_system_brings_is_a_deposit_like_any_other() {
    check([opened()], &receive(owner(), eur(1234)), Ok(vec![deposited(1234)]));
}

#[test]
fn a_refusal_is_recorded_with_its_reason() {
    let dollars = Amount::from_minor(5, Currency::from_code("USD").unwrap()).unwrap();
    for (before, amount, reason) in [
        (AccountEvent::AccountFrozen {}, eur(5), Refusal::Frozen),
        (AccountEvent::AccountClosed {}, eur(5), Refusal::Closed),
        (deposited(5), dollars, Refusal::CurrencyMismatch),
    ] {
        let refused = AccountEvent::DepositRefused { amount, reason };
        check([opened(), before], &receive(owner(), amount), Ok(vec![refused]));
    }
}

#[test]
fn nothing_is_recorded_about_what_is_not_there_or_anothers() {
    let stranger = UserId::new("mallory").unwrap();
    check([], &receive(owner(), eur(1)), Err(Rejection::NoSuchAccount));
    check([opened()], &receive(stranger, eur(1)), Err(Rejection::NoSuchAccount));
}
