import PollardBase

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Lets Ctrl-C, SIGTERM and SIGHUP remove outputs that are not finished before they end the program.
///
/// A thread of its own waits for the signals, because little may be done in a handler. It must be called before other
/// threads begin, which inherit the blocked signals. A signal that is ignored, as under `nohup`, stays ignored.
func removeOutputsWhenInterrupted() {
  var signals = endingSignals()
  guard pthread_sigmask(SIG_BLOCK, &signals, nil) == 0 else { return }
  #if canImport(Darwin)
    var thread: pthread_t?
    let status = pthread_create(&thread, nil, { _ in waitForSignals() }, nil)
  #else
    var thread = pthread_t()
    let status = pthread_create(&thread, nil, { _ in waitForSignals() }, nil)
  #endif
  if status != 0 { pthread_sigmask(SIG_UNBLOCK, &signals, nil) }
}

/// The signals that are to end the program, as it was started.
private func endingSignals() -> sigset_t {
  var signals = sigset_t()
  sigemptyset(&signals)
  for number in [SIGINT, SIGTERM, SIGHUP] where !isIgnored(number) { sigaddset(&signals, number) }
  return signals
}

private func isIgnored(_ number: Int32) -> Bool {
  var action = sigaction()
  guard sigaction(number, nil, &action) == 0 else { return false }
  #if canImport(Darwin)
    let handler = action.__sigaction_u.__sa_handler
  #else
    let handler = action.__sigaction_handler.sa_handler
  #endif
  return unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
}

private func waitForSignals() -> UnsafeMutableRawPointer? {
  var signals = endingSignals()
  var number: Int32 = 0
  guard sigwait(&signals, &number) == 0 else { return nil }
  Temporaries.removeUnfinished()
  // The program ends by the signal itself, so that a shell sees why.
  signal(number, SIG_DFL)
  sigemptyset(&signals)
  sigaddset(&signals, number)
  pthread_sigmask(SIG_UNBLOCK, &signals, nil)
  raise(number)
  return nil
}
