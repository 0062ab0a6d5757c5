package wmicom

import (
	"golang.org/x/sys/windows"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
)

// win32 makes an HRESULT of an error of Windows.
const win32 = 0x80070000

// none is indexed by differences that are 0, or this does not compile: package wmi cannot name Windows' own constants, as
// it is built everywhere.
var none [1]struct{}

var (
	_ = none[wmi.CodeWin32Denied-(win32|uint32(windows.ERROR_ACCESS_DENIED))]
	_ = none[wmi.CodeServerUnavailable-(win32|uint32(windows.RPC_S_SERVER_UNAVAILABLE))]
	_ = none[wmi.CodeServerBusy-(win32|uint32(windows.RPC_S_SERVER_TOO_BUSY))]
	_ = none[wmi.CodeCallFailed-(win32|uint32(windows.RPC_S_CALL_FAILED))]
	_ = none[wmi.CodeCallNotExecuted-(win32|uint32(windows.RPC_S_CALL_FAILED_DNE))]
	_ = none[wmi.CodeNotRegistered-(win32|uint32(windows.EPT_S_NOT_REGISTERED))]
	_ = none[wmi.CodeCallCancelled-(win32|uint32(windows.RPC_S_CALL_CANCELLED))]
	_ = none[wmi.CodeCommFailure-(win32|uint32(windows.RPC_S_COMM_FAILURE))]
	_ = none[wmi.CodeServiceNotActive-(win32|uint32(windows.ERROR_SERVICE_NOT_ACTIVE))]
	_ = none[wmi.CodeObjectExists-(win32|uint32(windows.ERROR_OBJECT_ALREADY_EXISTS))]
	_ = none[wmi.CodeGroupNotFound-(win32|uint32(windows.ERROR_GROUP_NOT_FOUND))]
	_ = none[wmi.CodeClusterShuttingDown-(win32|uint32(windows.ERROR_CLUSTER_SHUTTING_DOWN))]
	_ = none[wmi.CodeClusterDown-(win32|uint32(windows.ERROR_CLUSTER_NODE_DOWN))]
	_ = none[wmi.CodeClusterUnreachable-(win32|uint32(windows.ERROR_CLUSTER_NODE_UNREACHABLE))]
	_ = none[wmi.CodeClusterNotRunning-(win32|uint32(windows.ERROR_CLUSTER_NODE_NOT_MEMBER))]
	_ = none[wmi.CodeDisconnected-uint32(windows.RPC_E_DISCONNECTED)]
	_ = none[wmi.CodeServerDied-uint32(windows.RPC_E_SERVER_DIED)]
	_ = none[wmi.CodeServerDiedUnsure-uint32(windows.RPC_E_SERVER_DIED_DNE)]
	_ = none[wmi.CauseFileNotFound-(win32|uint32(windows.ERROR_FILE_NOT_FOUND))]
	_ = none[wmi.CausePathNotFound-(win32|uint32(windows.ERROR_PATH_NOT_FOUND))]
	_ = none[wmi.CauseTooLittleMemory-(win32|uint32(windows.ERROR_NOT_ENOUGH_MEMORY))]
	_ = none[wmi.CauseNoMemory-(win32|uint32(windows.ERROR_OUTOFMEMORY))]
	_ = none[wmi.CauseNotReady-(win32|uint32(windows.ERROR_NOT_READY))]
	_ = none[wmi.CauseSharing-(win32|uint32(windows.ERROR_SHARING_VIOLATION))]
	_ = none[wmi.CauseLocked-(win32|uint32(windows.ERROR_LOCK_VIOLATION))]
	_ = none[wmi.CauseHandleDiskFull-(win32|uint32(windows.ERROR_HANDLE_DISK_FULL))]
	_ = none[wmi.CauseFileExists-(win32|uint32(windows.ERROR_FILE_EXISTS))]
	_ = none[wmi.CauseDiskFull-(win32|uint32(windows.ERROR_DISK_FULL))]
	_ = none[wmi.CauseAlreadyExists-(win32|uint32(windows.ERROR_ALREADY_EXISTS))]
	_ = none[wmi.CauseVolumeAltered-(win32|uint32(windows.ERROR_FILE_INVALID))]
	_ = none[wmi.CauseDeviceFailed-(win32|uint32(windows.ERROR_IO_DEVICE))]
	_ = none[wmi.CauseDiskFailed-(win32|uint32(windows.ERROR_DISK_OPERATION_FAILED))]
	_ = none[wmi.CauseNotConnected-(win32|uint32(windows.ERROR_DEVICE_NOT_CONNECTED))]
	_ = none[wmi.CauseNoResources-(win32|uint32(windows.ERROR_NO_SYSTEM_RESOURCES))]
	_ = none[wmi.CauseCommitment-(win32|uint32(windows.ERROR_COMMITMENT_LIMIT))]
	_ = none[wmi.CauseVHDParentAbsent-uint32(windows.ERROR_VHD_PARENT_VHD_NOT_FOUND)]
)
