//! The levels of isolation, from the strongest to the weakest.

use clap::ValueEnum;
use nix::sched::CloneFlags;
use nix::unistd::geteuid;

/// How far a test is isolated from the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Isolation {
    /// Namespaces created by root; the test itself runs as an unprivileged user.
    Root,
    /// Namespaces inside a user namespace (`user_namespaces(7)`): no privilege is needed.
    User,
    /// The same, where the kernel allows no second `/proc`: the test sees the processes of the machine.
    SharedProcesses,
    /// No namespace, but another user: root in a container.
    OtherUser,
    /// Limits only.
    Limits,
}

impl Isolation {
    /// Describes the level for the readers of a report.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Root | Self::User => {
                "without a network (loopback only), on a read-only file system with a /tmp of its own, \
                 out of sight of other processes"
            }
            Self::SharedProcesses => {
                "without a network (loopback only), on a read-only file system with a /tmp of its own, \
                 but able to end other processes of the grader (the kernel hides no processes)"
            }
            Self::OtherUser => {
                "as a user without rights, but with the network and the files of this machine \
                 (the kernel allows no namespaces)"
            }
            Self::Limits => {
                "with the rights, the network and the files of the grader \
                 (the kernel allows no namespaces)"
            }
        }
    }

    /// Returns the namespaces to create.
    pub(super) fn namespaces(self) -> CloneFlags {
        let shared = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC;
        match self {
            Self::Root => shared | CloneFlags::CLONE_NEWPID,
            Self::User => shared | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWUSER,
            Self::SharedProcesses => shared | CloneFlags::CLONE_NEWUSER,
            Self::OtherUser | Self::Limits => CloneFlags::empty(),
        }
    }

    /// Returns whether the test's processes are in a namespace of their own, which ends with its first process.
    pub(super) fn hides_processes(self) -> bool {
        self.namespaces().contains(CloneFlags::CLONE_NEWPID)
    }

    /// Returns whether a test cannot signal the grader's processes (`kill(2)`).
    pub(super) fn protects_processes(self) -> bool {
        match self {
            Self::Root | Self::User | Self::OtherUser => true,
            Self::SharedProcesses | Self::Limits => false,
        }
    }

    /// Returns whether the kernel bounds the number of the test's processes, without counting others.
    ///
    /// In a user namespace the limit counts per namespace (since Linux 5.14), but the kernel never bounds root.
    pub(super) fn bounds_processes(self) -> bool {
        match self {
            Self::Root | Self::OtherUser => true,
            Self::User => !geteuid().is_root(),
            Self::SharedProcesses | Self::Limits => false,
        }
    }

    /// Returns whether only root can set it up.
    pub(super) fn needs_root(self) -> bool {
        matches!(self, Self::Root | Self::OtherUser)
    }
}
